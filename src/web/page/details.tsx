/** One link: its way from the declaration to its connections, what helps, its counters and what was denied. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { printable } from '../../manifest/text.js';
import {
  type DetailConnection,
  type DetailStep,
  type Details as Found,
  MAX_CONNECTIONS,
} from '../wire.js';
import { ago, bytes, plural, rate, seen } from './format.js';
import { Icon } from './icons.js';
import { type Link, stateOf } from './model.js';
import { labelOf } from './scene.js';

interface Props {
  /** Undefined: it is gone. */
  readonly link: Link | undefined;
  readonly onClose: () => void;
}

/** How often it is explained again while it is looked at, in milliseconds; a change of its state does it at once. */
const AGAIN_MS = 5_000;

export function Details({ link, onClose }: Props) {
  const panel = useRef<HTMLElement>(null);
  const last = useRef(link);
  if (link) last.current = link;
  const shown = last.current;
  useEffect(() => panel.current?.focus(), []);
  const { found, problem } = useExplanation(link);
  if (!shown) return null;
  const state = stateOf(shown.state);
  return (
    <aside
      class="details"
      ref={panel}
      tabIndex={-1}
      aria-label={`Link of ${labelOf(shown.consumer)} to ${seen(shown.name)}`}
    >
      <div class="head">
        <h2>
          <Icon type={shown.type} />
          {seen(shown.name)}
        </h2>
        <button type="button" class="close" aria-label="Close" onClick={onClose}>
          ✕
        </button>
      </div>
      <p class="ends">
        {labelOf(shown.consumer)} <span class="arrow">→</span>{' '}
        {shown.provider === '' ? 'nobody' : labelOf(shown.provider)}
      </p>
      {link ? (
        <p class={`state ${state}`}>
          <span class="dot" aria-hidden="true" />
          {printable(shown.state)} for {ago(shown.since, Date.now())}
        </p>
      ) : (
        <p class="state gone">This link is no longer in the graph.</p>
      )}
      {link?.error && (
        <div class={`error ${state}`}>
          <p>{printable(link.error.message)}</p>
          <p class="remedy">{printable(link.error.remedy)}</p>
        </div>
      )}
      <dl>
        <dt>Type</dt>
        <dd>
          {seen(shown.type)}, role {seen(shown.role)}
        </dd>
        <dt>Target</dt>
        <dd class="path">{seen(shown.target)}</dd>
        {found && (
          <>
            <dt>Socket</dt>
            <dd class="path">{seen(found.socket)}</dd>
          </>
        )}
        <dt>Connections</dt>
        <dd>
          {shown.active.toLocaleString('en')} open, {shown.total.toLocaleString('en')} so far
          {shown.refused > 0 && `, ${shown.refused.toLocaleString('en')} refused`}
        </dd>
        <dt>To provider</dt>
        <dd>
          {bytes(shown.toProvider)} <span class="muted">{rate(shown.toProviderRate)}</span>
        </dd>
        <dt>To consumer</dt>
        <dd>
          {bytes(shown.toConsumer)} <span class="muted">{rate(shown.toConsumerRate)}</span>
        </dd>
      </dl>
      <h3>Explained</h3>
      {problem !== null && <p class="muted">{problem}</p>}
      {found && (
        <>
          <Steps steps={found.steps} />
          {found.connections && <Open all={found.connections} />}
          <Counted title="Connections ended" counts={found.closes} />
          <Counted title="Denied; it would take" counts={found.denied} />
          <Counted title="Allowed only by audit; it would take" counts={found.audited} />
        </>
      )}
    </aside>
  );
}

interface Explained {
  readonly found: Found | null;
  readonly problem: string | null;
}

/** Asked for again every now and then, and when the state is another one. An answer that is late is dropped. */
function useExplanation(link: Link | undefined): Explained {
  const [explained, setExplained] = useState<Explained>({ found: null, problem: 'Asking…' });
  const { consumer, name, target, state, since } = link ?? {};
  useEffect(() => {
    if (consumer === undefined || name === undefined || target === undefined) return undefined;
    const abort = new AbortController();
    const query = new URLSearchParams({ consumer, name, target });
    let timer = 0;
    const ask = async () => {
      const next = await explanationAt(`/link?${query}`, abort.signal);
      if (abort.signal.aborted) return;
      setExplained(next);
      timer = window.setTimeout(ask, AGAIN_MS);
    };
    void ask();
    return () => {
      abort.abort();
      window.clearTimeout(timer);
    };
  }, [consumer, name, target, state, since]);
  return explained;
}

async function explanationAt(path: string, signal: AbortSignal): Promise<Explained> {
  try {
    const response = await fetch(path, { signal, cache: 'no-store' });
    if (response.ok) return { found: (await response.json()) as Found, problem: null };
    const isJson = response.headers.get('Content-Type')?.startsWith('application/json');
    const { error } = isJson
      ? ((await response.json()) as { error: string })
      : { error: 'No answer.' };
    return { found: null, problem: error };
  } catch {
    return { found: null, problem: 'pv-xconnect web does not answer; it is asked again.' };
  }
}

const MARKS = { ok: '✓', failed: '✗', skipped: '·' } as const;
const SAID = { ok: 'is well', failed: 'failed', skipped: 'was not reached' } as const;
const LABELS: Readonly<Record<string, string>> = { exporter: 'exported by', containers: 'running' };

function Steps({ steps }: { readonly steps: readonly DetailStep[] }) {
  return (
    <ol class="steps">
      {steps.map(({ name, mark, found, expected, remedy }) => (
        <li key={name} class={mark}>
          <span class="sign" role="img" aria-label={SAID[mark]}>
            {MARKS[mark]}
          </span>
          <span class="step">{LABELS[name] ?? name}</span>
          <span class="found">{printable(found)}</span>
          {expected !== undefined && <span class="more">Expected: {printable(expected)}.</span>}
          {remedy !== undefined && <span class="more remedy">{printable(remedy)}</span>}
        </li>
      ))}
    </ol>
  );
}

function Open({ all }: { readonly all: readonly DetailConnection[] }) {
  if (all.length === 0) return null;
  const now = Date.now();
  return (
    <>
      <h3>
        {all.length < MAX_CONNECTIONS ? 'Open connections' : `The oldest ${all.length} connections`}
      </h3>
      <ul class="connections">
        {all.map(({ since, client, uid, toProvider, toConsumer, about }, index) => (
          <li key={index /* they have no name, and keep no state */}>
            <span class="path">{client === '' ? 'somebody' : printable(client)}</span>
            {about !== '' && <span class="path muted">{printable(about)}</span>}
            <span class="muted">
              {uid !== null && `uid ${uid}, `}for {ago(since, now)}, {bytes(toProvider)} sent,{' '}
              {bytes(toConsumer)} received
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}

function Counted({ title, counts }: { readonly title: string; readonly counts: Found['denied'] }) {
  const all = Object.entries(counts).filter(([, count]) => count > 0);
  if (all.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <ul class="counted">
        {all
          .sort(([, one], [, other]) => other - one)
          .slice(0, 50)
          .map(([what, count]) => (
            <li key={what}>
              <span class="path">{printable(what)}</span>{' '}
              <span class="muted">{plural(count, 'time')}</span>
            </li>
          ))}
      </ul>
    </>
  );
}
