/** The page: what is chosen and looked for, and the parts that show it. */
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Details } from './details.js';
import { Events } from './events.js';
import {
  type Connection,
  countsOf,
  type Filter,
  inOrder,
  type Link,
  type Model,
  matcher,
  STATES,
  type State,
} from './model.js';
import { Picture } from './picture.js';
import { labelOf } from './scene.js';
import { LinkTable } from './table.js';

/** A link by its key, or a container by its name. */
export type Choice = { readonly link: number } | { readonly container: string } | null;

export function App({ model }: { readonly model: Model }) {
  const [, setTurn] = useState(0);
  useEffect(() => model.listen(() => setTurn((turn) => turn + 1)), [model]);
  const [filter, setFilter] = useState<Filter>({ text: '', states: new Set() });
  const [choice, setChoice] = useState<Choice>(null);
  const [tab, setTab] = useState<'links' | 'events'>('links');
  const search = useRef<HTMLInputElement>(null);
  const opener = useRef<HTMLElement | null>(null);

  const choose = useCallback((next: Choice) => {
    if (next && document.activeElement instanceof HTMLElement)
      opener.current = document.activeElement;
    setChoice(next);
  }, []);
  const close = useCallback(() => {
    setChoice(null);
    opener.current?.focus();
  }, []);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof HTMLInputElement;
      if (event.key === '/' && !isTyping) {
        event.preventDefault();
        search.current?.focus();
      } else if (event.key === 'Escape') {
        if (isTyping) setFilter((one) => ({ ...one, text: '' }));
        else close();
      }
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [close]);

  const all = useMemo(() => inOrder(model.links.values()), [model, model.shape]);
  const links = all.flatMap(({ key }) => model.links.get(key) ?? []);
  const matches = matcher(filter);
  const shown = links.filter(
    (link) =>
      matches(link) && (!choice || !('container' in choice) || isOf(link, choice.container)),
  );
  const isFiltered = filter.text.trim() !== '' || filter.states.size > 0;
  const keys = isFiltered ? shown.map(({ key }) => key) : null;
  const shownKeys = useMemo(() => keys && new Set(keys), [keys?.join()]);
  const chosen = choice && 'link' in choice ? model.links.get(choice.link) : undefined;

  return (
    <>
      <a class="skip" href="#table">
        Skip to the table of links
      </a>
      <header>
        <h1>
          <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
            <path d="M9 9c8 0 6 14 14 14" />
            <circle cx="8" cy="9" r="5" />
            <circle cx="24" cy="23" r="5" />
          </svg>
          pv-xconnect
        </h1>
        <Chips links={links} filter={filter} onFilter={setFilter} />
        <label class="search">
          <span class="hidden">Filter links by name, type, target or error</span>
          <input
            ref={search}
            type="search"
            placeholder="Filter  ( / )"
            value={filter.text}
            onInput={(event) => setFilter({ ...filter, text: event.currentTarget.value })}
          />
        </label>
        <Health model={model} />
      </header>
      <Notice model={model} />
      <main>
        <section class="picture" aria-label="Picture of the links">
          <Picture model={model} shown={shownKeys} choice={choice} onChoose={choose} />
          {links.length === 0 && <Empty model={model} />}
        </section>
        <section class="side" aria-label="Links and events">
          <div class="tabs" role="tablist" aria-label="What is listed">
            {(['links', 'events'] as const).map((one) => (
              <button
                key={one}
                type="button"
                role="tab"
                id={`tab-${one}`}
                aria-selected={tab === one}
                aria-controls="table"
                onClick={() => setTab(one)}
              >
                {one === 'links'
                  ? `Links ${shown.length === links.length ? links.length : `${shown.length} of ${links.length}`}`
                  : `Events ${model.occurrences.length}`}
              </button>
            ))}
            {choice && 'container' in choice && (
              <button type="button" class="pill" onClick={close}>
                of {labelOf(choice.container)} ✕
              </button>
            )}
          </div>
          <div id="table" class="panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
            {tab === 'links' ? (
              <LinkTable
                links={shown}
                filtered={shown.length < links.length}
                chosen={chosen?.key ?? null}
                onChoose={(link) => choose({ link })}
              />
            ) : (
              <Events model={model} onChoose={(link) => choose({ link })} />
            )}
          </div>
        </section>
        {choice && 'link' in choice && <Details key={choice.link} link={chosen} onClose={close} />}
      </main>
    </>
  );
}

function isOf({ consumer, provider }: Link, container: string): boolean {
  return consumer === container || provider === container;
}

interface ChipsProps {
  readonly links: readonly Link[];
  readonly filter: Filter;
  readonly onFilter: (filter: Filter) => void;
}

function Chips({ links, filter, onFilter }: ChipsProps) {
  const counts = countsOf(links);
  const toggle = (state: State) => {
    const states = new Set(filter.states);
    if (!states.delete(state)) states.add(state);
    onFilter({ ...filter, states });
  };
  return (
    <fieldset class="chips">
      <legend class="hidden">Show only links in these states</legend>
      {STATES.filter((state) => counts[state] > 0 || filter.states.has(state)).map((state) => (
        <button
          key={state}
          type="button"
          class={`chip ${state}`}
          aria-pressed={filter.states.has(state)}
          onClick={() => toggle(state)}
        >
          <span class="dot" aria-hidden="true" />
          <b>{counts[state].toLocaleString('en')}</b> {state}
        </button>
      ))}
    </fieldset>
  );
}

const CONNECTIONS: Readonly<Record<Connection, string>> = {
  connecting: 'Connecting',
  open: 'Live',
  lost: 'Connection lost',
  full: 'Too many browsers',
  refused: 'No access',
};

function Health({ model: { connection, daemon } }: { readonly model: Model }) {
  const isAway = connection === 'open' && daemon !== null && daemon.problem !== null;
  const isWell = connection === 'open' && !isAway;
  return (
    <output class={`health ${isWell ? 'well' : 'unwell'}`}>
      <span class="dot" aria-hidden="true" />
      {isAway ? 'No daemon' : CONNECTIONS[connection]}
    </output>
  );
}

const NOTICES: Partial<Readonly<Record<Connection, readonly [what: string, then: string]>>> = {
  refused: [
    'This page needs its token.',
    'Open the address that pv-xconnect web printed when it was started.',
  ],
  full: ['Too many browsers look at this page.', 'Close another one; it is tried again by itself.'],
  lost: [
    'pv-xconnect web does not answer.',
    'What is shown may be old; it is tried again by itself.',
  ],
};

/** What hinders the page itself, and what is done about it. */
function Notice({ model: { connection, daemon, links } }: { readonly model: Model }) {
  const problem = connection === 'open' && links.size > 0 ? (daemon?.problem ?? null) : null;
  const [what, then] =
    problem === null
      ? (NOTICES[connection] ?? [])
      : [
          'The daemon does not answer.',
          `${problem} What is shown is from before; it is tried again by itself.`,
        ];
  if (what === undefined) return null;
  return (
    <p class="notice" role="alert">
      <b>{what}</b> {then}
    </p>
  );
}

function Empty({ model: { connection, daemon } }: { readonly model: Model }) {
  if (connection !== 'open' || !daemon) {
    return (
      <div class="empty">{CONNECTIONS[connection === 'open' ? 'connecting' : connection]}…</div>
    );
  }
  if (daemon.problem !== null) {
    return (
      <div class="empty">
        <h2>No daemon answers</h2>
        <p>{daemon.problem}</p>
        <p>
          Start pv-xconnect, or say where its socket is with --control. This page goes on by itself.
        </p>
      </div>
    );
  }
  return (
    <div class="empty">
      <h2>No links yet</h2>
      <p>A link appears as soon as a container requires a service.</p>
      <p>If one should be here, pv-xconnect explain says what became of it.</p>
    </div>
  );
}
