/**
 * Why a link is as it is: the chain from its declaration to the first byte, step by step. The first step that failed
 * says what was found, what was expected and what helps; the steps after it were not reached. Pure.
 */

import { type ContainerEnd, EXTERNAL, RUNTIME_PROVIDER } from '../graph/link.js';
import { type ErrorCode, REMEDIES } from '../kernel/errors.js';
import { CONNECTIONS_OF_LINK as MAX_CONNECTIONS } from '../manifest/limits.js';
import { placeText, remedyOf, show } from '../manifest/problem.js';
import { CONTAINER_PREFIX } from '../manifest/services.js';
import { DEVICES, isOneOf } from '../manifest/vocabulary.js';
import type { ProbeView } from '../status/probes.js';
import { type Declaration, placeOf } from './declaration.js';
import type { Verdict } from './questions.js';
import { DEVICE_STEPS, JUDGED, STEP_OF, STEP_OF_PROBLEM, STEPS, type StepName } from './steps.js';

export interface Step {
  readonly name: StepName;
  readonly mark: 'ok' | 'failed' | 'skipped';
  /** A short phrase; of a failed step one sentence. */
  readonly found: string;
  /** Of a failed step. */
  readonly expected?: string;
  readonly remedy?: string;
}

export interface Explanation {
  readonly consumer: string;
  readonly name: string;
  readonly provider: string;
  readonly target: string;
  /** As the daemon has it; null: no daemon was asked, or it has no such link. */
  readonly state: string | null;
  readonly since: string | null;
  /** It may be missing: nothing of the consumer depends on it. */
  readonly optional: boolean;
  readonly steps: readonly Step[];
  /** What a policy refused since the daemon started: how often, by the rule that would allow it. */
  readonly denied: Readonly<Record<string, number>>;
}

/** A link as `GET /links` has it. */
interface Mark {
  readonly pid: number;
  readonly until: string;
}

export interface LiveLink {
  readonly consumer: string;
  readonly consumer_pid: number;
  readonly provider: string;
  readonly provider_pid: number;
  readonly name: string;
  readonly type: string;
  readonly role: string;
  readonly target: string;
  readonly socket: string;
  readonly uid?: number;
  readonly consumer_end?: ContainerEnd;
  readonly provider_end?: ContainerEnd;
  readonly state: string;
  readonly since: string;
  readonly last_error: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly remedy: string;
    readonly since: string;
  } | null;
  /** Of the requirement. */
  readonly max_connections?: number;
  readonly connections: {
    readonly active: number;
    readonly total: number;
    readonly refused?: number;
    readonly full?: boolean;
    /** As many as may be open, where they are. */
    readonly most?: number;
  };
  readonly bytes: { readonly to_provider: number; readonly to_consumer: number };
  readonly closes: Readonly<Record<string, number>>;
  /** What somebody has asked for, for a while. */
  readonly tap?: Mark;
  readonly fault?: Mark;
  readonly denied: Readonly<Record<string, number>>;
  readonly audited?: Readonly<Record<string, number>>;
}

/** What is known of one link. At least one of the two. */
export interface Known {
  /** Undefined: nobody knows the revision behind the graph. */
  readonly declaration?: Declaration | undefined;
  /** Undefined: no daemon was asked, or it has no such link. */
  readonly live?: LiveLink | undefined;
  /** A daemon was asked. */
  readonly asked?: boolean;
  /** What the link would do with a call, with a request. Absent: it was not asked. */
  readonly verdicts?: Readonly<Partial<Record<StepName, Verdict>>> | undefined;
  /** What a connection has shown; a sentence: why none was made. Absent: none was asked for. */
  readonly tried?: ProbeView | string | undefined;
  /** Of a process, as a phrase such as `since 10:00`; undefined: not known. */
  readonly since?: (pid: number) => string | undefined;
}

/** The steps of this link, with those that were asked for. */
function orderOf({ live, declaration, verdicts, tried }: Known): StepName[] {
  const type = (live ?? declaration?.link)?.type;
  const order: StepName[] = [...(isOneOf(DEVICES, type) ? DEVICE_STEPS : STEPS)];
  const judged = JUDGED.filter((step) => verdicts?.[step]);
  order.splice(order.indexOf('containers'), 0, ...judged);
  if (tried !== undefined) order.splice(order.indexOf('connections'), 0, 'connect');
  return order;
}

export function explain(known: Known): Explanation {
  const { declaration, live } = known;
  const link = live ?? declaration?.link;
  const order = orderOf(known);
  const faults = [faultOf(known), ...askedFaults(known)].filter((one) => one !== null);
  const [fault] = faults.sort((a, b) => order.indexOf(a.step) - order.indexOf(b.step));
  const reached = fault
    ? order.indexOf(fault.step)
    : known.live
      ? order.length
      : order.indexOf('containers');
  const steps = order.map((name, index): Step => {
    if (fault?.step === name) {
      const { found, expected = expectedOf(name, known), remedy } = fault;
      return { name, mark: 'failed', found, expected, remedy };
    }
    if (index >= reached) {
      return { name, mark: 'skipped', found: known.asked ? '' : 'no daemon was asked' };
    }
    return well(name, known);
  });
  return {
    consumer: link?.consumer ?? declaration?.consumer ?? '',
    name: link?.name ?? declaration?.requirement.name ?? '',
    provider: link?.provider ?? declaration?.exporter?.container ?? '',
    target: link?.target ?? declaration?.requirement.target ?? '',
    state: live?.state ?? null,
    since: live?.since ?? null,
    optional: declaration?.requirement.optional ?? false,
    steps,
    denied: live?.denied ?? {},
  };
}

/** Of errors that are not about what their step is about otherwise. */
const EXPECTED_OF: Partial<Readonly<Record<ErrorCode, string>>> = {
  'certificate-invalid': 'a certificate and its key that can be read',
  'plugin-failed': 'a plugin that makes the link',
};

interface Fault {
  readonly step: StepName;
  readonly found: string;
  /** Absent: what the step expects of any link. */
  readonly expected?: string;
  readonly remedy: string;
}

/** Of the steps that were asked for. */
function askedFaults({ verdicts, tried, declaration }: Known): Fault[] {
  const refused = JUDGED.flatMap((step): Fault[] => {
    const verdict = verdicts?.[step];
    return verdict?.is === 'no' ? [{ step, ...verdict }] : [];
  });
  if (typeof tried !== 'object' || tried.ok) return refused;
  const { message, remedy } = tried.error;
  return [
    ...refused,
    { step: 'connect', found: message, remedy: placed('socket', remedy, declaration) },
  ];
}

function faultOf({ declaration, live, asked }: Known): Fault | null {
  const problem = declaration?.problem;
  if (problem) {
    const step = STEP_OF_PROBLEM[problem.code] ?? 'declared';
    const found = `${placeText(problem)}: found ${problem.found}.`;
    const { expected } = problem;
    return { step, found, expected, remedy: editOf(step, declaration) ?? remedyOf(problem) };
  }
  if (!live) return declaration ? unmade(declaration, asked ?? false) : null;
  const error = live.last_error;
  if (!error) return live.state === 'established' ? crowded(live, declaration) : unexplained(live);
  const step = stepOf(live, error);
  const edit = error.code === 'not-allowed' ? editOf(step, declaration) : undefined;
  const found = `${error.message}${untold(live, error.code)}`;
  const expected = EXPECTED_OF[error.code];
  const remedy = edit ?? placed(step, error.remedy, declaration);
  return { step, found, ...(expected === undefined ? {} : { expected }), remedy };
}

/** Of a container that does not run, where nobody has said that it ever ended. */
function untold(
  { consumer_end: consumer, provider_end: provider }: LiveLink,
  code: ErrorCode,
): string {
  const end = code === 'consumer-not-running' ? consumer : provider;
  const isAway = code === 'consumer-not-running' || code === 'provider-not-running';
  if (!isAway || end) return '';
  return ' How it ended, if it ran before, the daemon was not told.';
}

function stepOf(live: LiveLink, { code, message }: { code: ErrorCode; message: string }): StepName {
  const step = STEP_OF[code] ?? 'target';
  if (step !== 'anywhere') return step;
  const isOfProvider = [`${live.socket} in ${live.provider}: `, 'The hosted bus at ', 'The bus '];
  if (isOfProvider.some((start) => message.startsWith(start))) return 'socket';
  return code === 'not-a-container' ? 'containers' : 'target';
}

/** Of a revision alone, or of one for which the daemon has no link. */
function unmade({ requirement, link }: Declaration, asked: boolean): Fault | null {
  const error = link?.error;
  if (error) {
    const step = STEP_OF[error.code];
    return {
      step: step === 'anywhere' ? 'target' : step,
      found: error.message,
      remedy: REMEDIES[error.code],
    };
  }
  if (link && !asked) return null;
  if (!link) {
    const found = `No link comes of ${placeText(requirement.place)}.`;
    return { step: 'declared', found, remedy: 'Do what pv-xconnect check says of the revision.' };
  }
  const found = `The daemon has no link for ${placeText(requirement.place)}.`;
  const remedy =
    'Look again in some seconds, as it reads a revision that changed; then look at its log.';
  return { step: 'declared', found, expected: 'the graph of this revision', remedy };
}

/** No more connections may be open now. */
function crowded(live: LiveLink, declaration: Declaration | undefined): Fault | null {
  const { active, full, most = active } = live.connections;
  if (!full) return null;
  const remedy = raised(live, most, declaration);
  return {
    step: 'connections',
    found: `${active} connections are open, as many as may be: further ones wait, or are closed.`,
    expected: `fewer than ${most}`,
    remedy,
  };
}

/** What raises it: the requirement's own limit, or else the share that each link has of the files that may be open. */
function raised(
  { max_connections: own }: LiveLink,
  most: number,
  declaration: Declaration | undefined,
): string {
  if (own === most) {
    const place = placeOf(declaration);
    const where = place === undefined ? 'the requirement' : place;
    return `Raise "max_connections" in ${where}, or have clients close what they no longer use.`;
  }
  if (most >= MAX_CONNECTIONS) {
    return 'Have clients close what they no longer use: no link may have more.';
  }
  const files = 'Raise the limit of open files of pv-xconnect (LimitNOFILE, ulimit -n)';
  return `${files}, of which a link may have a sixteenth as connections, up to ${MAX_CONNECTIONS}.`;
}

/** A link between two states. */
function unexplained({ state }: LiveLink): Fault {
  if (state === 'draining') {
    const remedy = 'Nothing to do if it is to go; else look at what the revision requires.';
    return {
      step: 'declared',
      found: 'It has left the graph, and its connections are finishing.',
      remedy,
    };
  }
  return { step: 'target', found: 'The link is being made.', remedy: 'Look again in a moment.' };
}

/** The one edit that allows it. */
function editOf(step: StepName, declaration: Declaration | undefined): string | undefined {
  if (step !== 'allowed' || !declaration?.exporter) return undefined;
  const { consumer, requirement, exporter } = declaration;
  const { allow, rules } = exporter.service ?? {};
  const container = `${CONTAINER_PREFIX}${consumer}`;
  // Who is allowed and refused would have it raw, where nobody keeps its rules.
  if (rules && (!allow || allow.includes(requirement.role) || allow.includes(container))) {
    const place = `${placeText(requirement.place)}, or take "rules" from ${placeText(exporter.place)}`;
    return `Require it as rest or http in ${place}.`;
  }
  const who = `${show(requirement.role)} or ${show(container)}`;
  return `Add ${who} to "allow" in ${placeText(exporter.place)}.`;
}

/** With the entry of the manifest that the step is about. */
function placed(step: StepName, remedy: string, declaration: Declaration | undefined): string {
  const isOfProvider = step === 'socket' || step === 'identity';
  const exporter = declaration?.exporter;
  const place = isOfProvider
    ? exporter && placeText(exporter.place)
    : step === 'target'
      ? placeOf(declaration)
      : undefined;
  return place === undefined ? remedy : `${remedy} It is declared in ${place}.`;
}

function whereabouts({ declaration, live }: Known) {
  const link = live ?? declaration?.link;
  const provider = link?.provider || declaration?.exporter?.container || '';
  return {
    consumer: link?.consumer ?? declaration?.consumer ?? '',
    provider: provider === RUNTIME_PROVIDER ? 'the runtime' : provider || 'its provider',
    target: link?.target || 'its target',
    socket: link?.socket || 'its socket',
    role: show(link?.role ?? declaration?.requirement.role ?? 'any'),
  };
}

function expectedOf(name: StepName, known: Known): string {
  const { consumer, provider, target, socket, role } = whereabouts(known);
  const type = (known.live ?? known.declaration?.link)?.type;
  switch (name) {
    case 'declared':
      return 'a requirement that can be read, and a service that is served';
    case 'exporter':
      return 'one container that exports it, as a type that it can serve';
    case 'allowed':
      return `the role ${role}, or "container:${consumer}", among those that may use it`;
    case 'containers':
      return `${consumer === EXTERNAL ? '' : `${consumer} and `}${provider} running`;
    case 'target':
      return target.startsWith('/')
        ? `${target} in ${consumer} free, and a way to it`
        : `${target} free, at an interface of ${consumer === EXTERNAL ? 'the host' : consumer}`;
    case 'socket':
      return isOneOf(DEVICES, type)
        ? `${socket} in ${provider}, a device of the type ${type}`
        : `${socket} in ${provider}, which lets the role ${role} in`;
    case 'identity':
      return `a user for the role ${role}`;
    case 'connect':
    case 'connections':
      return `connections that reach ${provider}`;
    case 'call':
    case 'route':
      return 'a rule that allows it';
  }
}

function well(name: StepName, known: Known): Step {
  const { live, verdicts, tried } = known;
  const isOpen =
    (name === 'connections' && live?.connections.total === 0) ||
    verdicts?.[name]?.is === 'none' ||
    (name === 'connect' && !(typeof tried === 'object' && tried.ok && tried.proven));
  return { name, mark: isOpen ? 'skipped' : 'ok', found: foundOf(name, known) };
}

function foundOf(name: StepName, known: Known): string {
  const { declaration, live } = known;
  const { consumer, provider, target, socket, role } = whereabouts(known);
  const exporter = declaration?.exporter;
  switch (name) {
    case 'declared': {
      const optional = declaration?.requirement.optional ? ', optional' : '';
      return `${placeOf(declaration) ?? 'in the graph of the daemon'}${optional}`;
    }
    case 'exporter':
      return exporter ? `${provider}, ${placeText(exporter.place)}` : provider;
    case 'allowed': {
      if (!exporter?.service) return `the role ${role}`;
      return exporter.service.allow ? `the role ${role} is in "allow"` : 'everyone may';
    }
    case 'containers':
      return live ? running(live, known.since) : '';
    case 'target':
      return consumer === EXTERNAL ? `${target} on the host` : `${target} in ${consumer}`;
    case 'socket':
      return `${socket} in ${provider}`;
    case 'identity':
      return live?.uid === undefined ? `the role ${role}` : `the role ${role}, uid ${live.uid}`;
    case 'connections':
      return live ? traffic(live) : '';
    case 'call':
    case 'route':
      return known.verdicts?.[name]?.found ?? '';
    case 'connect':
      return triedText(known.tried);
  }
}

function triedText(tried: Known['tried']): string {
  if (tried === undefined || typeof tried === 'string') return tried ?? '';
  return tried.ok ? tried.found : tried.error.message;
}

function running(live: LiveLink, since: Known['since']): string {
  const one = (name: string, pid: number, end: ContainerEnd | undefined) => {
    const began = since?.(pid);
    const ended = end && `ended ${timesText(end.times)} before, last with ${end.how}`;
    const known = [`pid ${pid}`, began, ended].filter((part) => part !== undefined);
    return `${name} (${known.join(', ')})`;
  };
  const all = [
    [live.consumer, live.consumer_pid, live.consumer_end],
    [live.provider, live.provider_pid, live.provider_end],
  ] as const;
  const containers = all.filter(([, pid]) => pid > 0).map((container) => one(...container));
  return containers.length === 0 ? 'none is needed' : containers.join(', ');
}

function timesText(times: number): string {
  return times === 1 ? 'once' : `${times} times`;
}

function traffic(live: LiveLink): string {
  const { connections, bytes, closes } = live;
  const { active, total, refused = 0 } = connections;
  const asked = askedText(live);
  if (total === 0) return ['nobody has connected yet', ...asked].join('; ');
  const ends = Object.entries(closes).filter(([, count]) => count > 0);
  const ended = ends.map(([reason, count]) => `${reason} ${count}`).join(', ');
  return [
    `${active} open of ${total}, ${bytes.to_provider} bytes to the provider, ${bytes.to_consumer} to the consumer`,
    ...(refused > 0 ? [`${refused} did not reach the provider`] : []),
    ...(ended === '' ? [] : [`ended: ${ended}`]),
    ...asked,
  ].join('; ');
}

function askedText({ tap, fault }: LiveLink): string[] {
  const by = ({ pid, until }: Mark) => `by pid ${pid} until ${until}`;
  return [
    ...(fault ? [`made faulty ${by(fault)} (pv-xconnect fault)`] : []),
    ...(tap ? [`tapped ${by(tap)}`] : []),
  ];
}

export function firstFailure({ steps }: Explanation): Step | undefined {
  return steps.find(({ mark }) => mark === 'failed');
}
