/**
 * `pv-xconnect explain [CONSUMER [SERVICE]]`: why a link is as it is, from its declaration to its connections; without
 * a consumer, every link that is not established, a line each.
 *
 * What runs comes from the daemon, and so does the revision, unless its graph was built by a runtime. With `--from` the
 * revision comes from there, and no daemon is asked.
 */
import { linkId, RUNTIME_PROVIDER } from '../graph/link.js';
import { beganAt, startTicksOfPid } from '../kernel/boot-clock.js';
import { nearest } from '../kernel/nearest.js';
import type { Vocabulary } from '../manifest/entries.js';
import { readRevision } from '../manifest/reader.js';
import { printable, printableJson } from '../manifest/text.js';
import { ControlClient, type Got } from './control-client.js';
import { type Declaration, type Declarations, declarationsOf, whyNone } from './declaration.js';
import {
  type Explanation,
  explain,
  firstFailure,
  type LiveLink,
  type Step,
  type StepName,
} from './explanation.js';
import type { Output } from './output.js';

export interface ExplainOptions {
  readonly consumer?: string | undefined;
  readonly service?: string | undefined;
  /** The daemon's control socket. */
  readonly control: string;
  readonly json: boolean;
  /** A revision to explain in place of asking the daemon. */
  readonly from?: string;
  /** What its manifests may say. Absent: what the built-in plugins take. */
  readonly vocabulary?: Vocabulary | undefined;
}

export interface Sources {
  readonly declarations: Declarations | undefined;
  readonly links: readonly LiveLink[] | undefined;
}

/** Exit code: 0 if all that is explained is well; 1 if not, or if it can't be explained. */
export async function explainCommand(
  options: ExplainOptions,
  { stdout, stderr }: { readonly stdout: Output; readonly stderr: Output },
): Promise<number> {
  const say = (sentence: string) => stderr.write(`pv-xconnect: ${printable(sentence)}\n`);
  const got = await sourcesOf(options);
  if (!got.ok) {
    say(got.error);
    return 1;
  }
  const { consumer, service } = options;
  const { declarations, links } = got.value;
  const all = explanations(declarations?.all ?? [], links).filter(
    (one) =>
      (consumer === undefined || one.consumer === consumer) &&
      (service === undefined || one.name === service),
  );
  if (consumer !== undefined && all.length === 0) {
    const { found, remedy } = await whyNothing(got.value, options.control, consumer, service);
    if (options.json) stdout.write(`${printableJson({ links: [], found, remedy })}\n`);
    else stdout.write(printable(`✗ ${found} ${remedy}`).concat('\n'));
    return 1;
  }
  const shown = consumer === undefined ? all.filter(isUnwell) : all;
  if (options.json) stdout.write(`${printableJson({ links: shown })}\n`);
  else
    stdout.write(
      consumer === undefined ? listText(shown, all.length) : shown.map(chainText).join('\n'),
    );
  return shown.some((one) => firstFailure(one)) ? 1 : 0;
}

async function sourcesOf({
  from,
  control,
  vocabulary,
  consumer,
  service,
}: ExplainOptions): Promise<Got<Sources>> {
  if (from !== undefined) {
    const read = await declared(from, vocabulary);
    return read.ok ? { ok: true, value: { declarations: read.value, links: undefined } } : read;
  }
  const asked = new URLSearchParams();
  if (consumer !== undefined) asked.set('consumer', consumer);
  if (service !== undefined) asked.set('name', service);
  const client = new ControlClient(control);
  const got = await client.get(`/links?${asked}`);
  if (!got.ok) return got;
  const links = got.value as readonly LiveLink[];
  const revision = await client.revision();
  if (!revision.ok) return revision;
  const declarations = revision.value ? declarationsOf(revision.value) : undefined;
  return { ok: true, value: { declarations, links } };
}

async function declared(
  path: string,
  vocabulary: Vocabulary | undefined,
): Promise<Got<Declarations>> {
  const revision = await readRevision(path, vocabulary);
  if (!revision.failed) return { ok: true, value: declarationsOf(revision) };
  const [problem] = revision.problems;
  return { ok: false, error: `${path}: ${problem?.message ?? 'it can not be read.'}` };
}

/** Each link that the daemon has, then each requirement of `all` that it has no link for. `links` undefined: none was asked. */
export function explanations(
  all: readonly Declaration[],
  links: readonly LiveLink[] | undefined,
): Explanation[] {
  if (!links) return all.map((declaration) => explain({ declaration }));
  const unmade = new Map<unknown, Declaration>(
    all.map((one) => [one.link ? linkId(one.link) : one, one]),
  );
  const made = links.map((live) => {
    const key = live.state === 'unmet' ? declarationOf(live, unmade.values()) : linkId(live);
    const declaration = unmade.get(key);
    unmade.delete(key);
    return explain({ declaration, live, asked: true, since: runsSince });
  });
  const others = [...unmade.values()].map((declaration) => explain({ declaration, asked: true }));
  return [...made, ...others];
}

/** Of one that nothing can meet, and of which no link comes by the manifests alone. */
function declarationOf(
  { consumer, name, target }: LiveLink,
  unmade: Iterable<Declaration>,
): Declaration | undefined {
  return [...unmade].find(
    ({ link, requirement, ...one }) =>
      !link &&
      one.consumer === consumer &&
      requirement.name === name &&
      (requirement.target ?? target) === target,
  );
}

/** What may be missing, and is, is as it should be. */
function isUnwell(explanation: Explanation): boolean {
  const { optional, state } = explanation;
  const isMissing = optional && (state === null || state === 'unmet');
  return !isMissing && firstFailure(explanation) !== undefined;
}

async function whyNothing(
  { declarations }: Sources,
  control: string,
  consumer: string,
  service: string | undefined,
): Promise<{ readonly found: string; readonly remedy: string }> {
  if (declarations) return whyNone(declarations, consumer, service);
  const got = await new ControlClient(control).get('/links');
  const links = got.ok ? (got.value as readonly LiveLink[]) : [];
  const own = links.filter((link) => link.consumer === consumer);
  const isKnown = service !== undefined && own.length > 0;
  const meant = isKnown
    ? nearest(
        service,
        own.map(({ name }) => name),
      )
    : nearest(
        consumer,
        links.map((link) => link.consumer),
      );
  const what = service === undefined ? `link of ${consumer}` : `link of ${consumer} to ${service}`;
  const found = `The graph of the daemon has no ${what}${meant === undefined ? '' : ` (did you mean ${meant}?)`}.`;
  const remedy =
    'See pv-xconnect graph for those there are, and explain its revision with --from PATH.';
  return { found, remedy };
}

/** When a process of this machine began; nothing where /proc does not tell. */
function runsSince(pid: number): string | undefined {
  const began = beganAt(startTicksOfPid(pid));
  return began === 0 ? undefined : `since ${new Date(began).toISOString().slice(0, 19)}Z`;
}

const MARKS = { ok: '✓', failed: '✗', skipped: '·' } as const;
const LABELS: Readonly<Record<StepName, string>> = {
  declared: 'declared',
  exporter: 'exported by',
  allowed: 'allowed',
  containers: 'running',
  target: 'target',
  socket: 'socket',
  identity: 'identity',
  connections: 'connections',
};
const WIDTH = Math.max(...Object.values(LABELS).map(({ length }) => length)) + 2;

function headOf({ consumer, name, provider, target, state, since }: Explanation): string {
  const of =
    provider === '' ? '' : ` of ${provider === RUNTIME_PROVIDER ? 'the runtime' : provider}`;
  const at = target === '' ? '' : ` at ${target}`;
  const is = state === null ? '' : `: ${state}${since === null ? '' : ` since ${since}`}`;
  return `${consumer} → ${name}${of}${at}${is}`;
}

function chainText(explanation: Explanation): string {
  const lines = [headOf(explanation), ...explanation.steps.flatMap(stepLines)];
  for (const [rule, count] of Object.entries(explanation.denied)) {
    lines.push(
      `denied ${count} ${count === 1 ? 'time' : 'times'} since the daemon started: ${rule} would allow it`,
    );
  }
  return `${lines.map(printable).join('\n')}\n`;
}

function stepLines({ name, mark, found, expected, remedy }: Step): string[] {
  const first = `${MARKS[mark]} ${LABELS[name].padEnd(WIDTH)}${found}`.trimEnd();
  if (mark !== 'failed') return [first];
  const indent = ' '.repeat(WIDTH + 2);
  return [first, `${indent}Expected: ${expected}.`, `${indent}To do: ${remedy}`];
}

function listText(shown: readonly Explanation[], count: number): string {
  const lines = shown.map((one) => {
    const { found = '', expected = '', remedy = '' } = firstFailure(one) ?? {};
    const optional = one.optional ? ' (optional)' : '';
    return printable(`✗ ${headOf(one)}${optional}: ${found} Expected: ${expected}. ${remedy}`);
  });
  const end =
    shown.length === 0
      ? `Nothing is wrong with any of ${count} links.`
      : `Not well: ${shown.length} of ${count} links.`;
  return `${[...lines, end].join('\n')}\n`;
}
