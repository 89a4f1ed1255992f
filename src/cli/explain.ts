/**
 * `pv-xconnect explain [CONSUMER [SERVICE]]`: why a link is as it is, from its declaration to its connections; without
 * a consumer, every link that is not established, a line each.
 *
 * With `--connect` the daemon makes one connection to the provider of each; `--call` and `--url` are questions that the
 * declarations answer.
 *
 * What runs comes from the daemon, and so does the revision, unless its graph was built by a runtime. With `--from` the
 * revision comes from there, and no daemon is asked.
 */
import { type Link, linkId, RUNTIME_PROVIDER } from '../graph/link.js';
import { parseGraph } from '../graph/wire.js';
import { beganAt, startTicksOfPid } from '../kernel/boot-clock.js';
import { nearest } from '../kernel/nearest.js';
import type { Vocabulary } from '../manifest/entries.js';
import { readRevision } from '../manifest/reader.js';
import type { Revision } from '../manifest/revision.js';
import { printable, printableJson } from '../manifest/text.js';
import type { ProbeView } from '../status/probes.js';
import { callVerdict } from './call-verdict.js';
import { ControlClient, type Got } from './control-client.js';
import { type Declaration, type Declarations, declarationsOf, whyNone } from './declaration.js';
import {
  type Explanation,
  explain,
  firstFailure,
  type Known,
  type LiveLink,
  type Step,
} from './explanation.js';
import type { Output } from './output.js';
import type { HttpRequest, MethodCall } from './questions.js';
import { routeVerdict } from './route-verdict.js';
import type { StepName } from './steps.js';

export interface ExplainOptions {
  readonly consumer?: string | undefined;
  readonly service?: string | undefined;
  /** The daemon's control socket. */
  readonly control: string;
  readonly json: boolean;
  /** Have the daemon make a connection to the provider. */
  readonly connect?: boolean;
  /** Would this call be allowed? */
  readonly call?: MethodCall;
  /** Where would this request go? */
  readonly url?: HttpRequest;
  /** A revision to explain in place of asking the daemon. */
  readonly from?: string;
  /** What its manifests may say. Absent: what the built-in plugins take. */
  readonly vocabulary?: Vocabulary | undefined;
}

/** What is asked of each link beside how it is. */
type Questions = Pick<ExplainOptions, 'call' | 'url'>;

/** What links are explained from. */
interface Explained {
  /** Requirements of the revision; none where nobody knows it. */
  readonly all: readonly Declaration[];
  /** As the daemon has them; undefined: none was asked. */
  readonly links: readonly LiveLink[] | undefined;
  /** What a connection has shown, by link. */
  readonly tried?: ReadonlyMap<string, ProbeView | string> | undefined;
  readonly revision?: Revision | undefined;
}

interface Sources extends Explained {
  readonly declarations: Declarations | undefined;
}

/** Exit code: 0 if all that is explained is well; 1 if not, or if it can't be explained. */
export async function explainCommand(
  options: ExplainOptions,
  { stdout, stderr }: { readonly stdout: Output; readonly stderr: Output },
): Promise<number> {
  const say = (sentence: string) => stderr.write(`pv-xconnect: ${printable(sentence)}\n`);
  if (options.consumer === undefined && (options.connect || options.call || options.url)) {
    say('--connect, --call and --url are about the links of one container: say which CONSUMER.');
    return 2;
  }
  const got = await sourcesOf(options);
  if (!got.ok) {
    say(got.error);
    return 1;
  }
  const { consumer, service } = options;
  const all = explanations(got.value, options).filter(
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

async function sourcesOf(options: ExplainOptions): Promise<Got<Sources>> {
  const { from, control, vocabulary, consumer, service, url, connect = false } = options;
  if (from !== undefined) return declared(from, vocabulary);
  const asked = new URLSearchParams();
  if (consumer !== undefined) asked.set('consumer', consumer);
  // Which link a request goes to is decided among all that share the address.
  if (service !== undefined && !url) asked.set('name', service);
  const client = new ControlClient(control);
  const look = async () => (await client.get(`/links?${asked}`)) as Got<readonly LiveLink[]>;
  const before = await look();
  if (!before.ok) return before;
  const own = before.value.filter(({ name }) => service === undefined || name === service);
  const tried = connect ? await tryEach(client, own) : undefined;
  const got = tried ? await look() : before; // a connection shows what no look sees
  if (!got.ok) return got;
  const revision = await client.revision();
  if (!revision.ok) return revision;
  return { ok: true, value: sourcesWith(revision.value ?? undefined, got.value, tried) };
}

function sourcesWith(
  revision: Revision | undefined,
  links?: readonly LiveLink[],
  tried?: Sources['tried'],
): Sources {
  const declarations = revision && declarationsOf(revision);
  return { all: declarations?.all ?? [], declarations, revision, links, tried };
}

/** One after the other; a link that is not made can't be tried. By the link: a sentence where the daemon would not. */
async function tryEach(
  client: ControlClient,
  links: readonly LiveLink[],
): Promise<Map<string, ProbeView | string>> {
  const tried = new Map<string, ProbeView | string>();
  for (const link of links.filter(({ state }) => state !== 'unmet' && state !== 'draining')) {
    const { consumer, name, target } = link;
    const got = await client.post(`/probe?${new URLSearchParams({ consumer, name, target })}`);
    tried.set(linkId(link), got.ok ? (got.value as ProbeView) : got.error);
  }
  return tried;
}

async function declared(path: string, vocabulary: Vocabulary | undefined): Promise<Got<Sources>> {
  const revision = await readRevision(path, vocabulary);
  if (!revision.failed) return { ok: true, value: sourcesWith(revision) };
  const [problem] = revision.problems;
  return { ok: false, error: `${path}: ${problem?.message ?? 'it can not be read.'}` };
}

/** Each link that the daemon has, then each requirement that it has no link for. Without `links`, none was asked. */
export function explanations(sources: Explained, questions: Questions = {}): Explanation[] {
  const { all, links, tried } = sources;
  const routes = questions.url ? linksOf(sources) : [];
  // Nothing else has a use for the wire form, which takes time to be checked.
  const isAsked = questions.call !== undefined || questions.url !== undefined;
  const asked = (link: Link | undefined, declaration: Declaration | undefined) => ({
    verdicts: verdictsOf(link, declaration, sources, questions, routes),
    declaration,
  });
  if (!links) return all.map((declaration) => explain(asked(declaration.link, declaration)));
  const unmade = new Map<unknown, Declaration>(
    all.map((one) => [one.link ? linkId(one.link) : one, one]),
  );
  const made = links.map((live) => {
    const key = live.state === 'unmet' ? declarationOf(live, unmade.values()) : linkId(live);
    const declaration = unmade.get(key);
    unmade.delete(key);
    const known = { live, tried: tried?.get(linkId(live)), asked: true, since: runsSince };
    return explain({ ...asked(isAsked ? linkOf(live) : undefined, declaration), ...known });
  });
  const others = [...unmade.values()].map((declaration) =>
    explain({ ...asked(declaration.link, declaration), asked: true }),
  );
  return [...made, ...others];
}

function verdictsOf(
  link: Link | undefined,
  declaration: Declaration | undefined,
  { revision }: Explained,
  { call, url }: Questions,
  routes: readonly Link[],
): Known['verdicts'] {
  if (!link || link.error) return {};
  const service = declaration?.exporter?.service;
  return {
    ...(call && { call: callVerdict(link, call, revision, service) }),
    ...(url && { route: routeVerdict(link, url, routes, service) }),
  };
}

/** As the daemon has it, in the form that everything else knows. */
function linkOf(live: LiveLink): Link | undefined {
  return parseGraph([live]).links[0];
}

function linksOf({ links, all }: Explained): readonly Link[] {
  return links ? parseGraph(links).links : all.flatMap(({ link }) => link ?? []);
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
  call: 'call',
  route: 'route',
  containers: 'running',
  target: 'target',
  socket: 'socket',
  identity: 'identity',
  connect: 'connect',
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
