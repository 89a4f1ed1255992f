/**
 * The options of the daemon: the one table of their names, values and defaults, from which the daemon reads its command
 * line, and of which the command line of people (command-line.ts) makes its help and its complaints.
 *
 * Every option takes a value, as the next word or behind "="; native/supervisor/settings.c, which reads some of them
 * too, relies on that. What daemon and broker have to agree on, the supervisor has read, and hands on in variables.
 */
import { resolve } from 'node:path';
import { parseRange } from './bus/program.js';
import type { UidRange } from './bus/uid-book.js';
import type { DaemonOptions } from './daemon.js';
import { LOG_FORMATS, LOG_LEVELS, type LogFormat } from './kernel/log.js';
import { ok, type WhyResult } from './kernel/result.js';

interface Specification<T> {
  /** What stands for its value in the help. */
  readonly meta: string;
  readonly description: string;
  /** `why`: a sentence on what was expected. Absent: any text will do. */
  readonly parse?: (text: string) => WhyResult<T>;
  readonly choices?: readonly string[];
  /** An option that makes no sense beside it. */
  readonly conflicts?: string;
  /** It may be repeated, and its value is a list with commas. */
  readonly isList?: true;
  readonly initial?: T;
  /** The default as the help says it, where that is not the value itself. */
  readonly shown?: string;
}

const no = (why: string) => ({ ok: false, why }) as const;

function milliseconds(text: string): WhyResult<number> {
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || seconds > 86_400) {
    return no('A number of seconds from 0 to 86400 was expected.');
  }
  return ok(Math.round(seconds * 1000));
}

function mebibytes(text: string): WhyResult<number> {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= 65_536) return ok(number * 2 ** 20);
  return no('A whole number of MiB from 1 to 65536 was expected.');
}

function uidRange(text: string): WhyResult<UidRange> {
  const range = parseRange(text);
  return range
    ? ok(range)
    : no('Two uids above 65535, the lower one first, were expected, such as 200000-265535.');
}

const one = <T = string>(specification: Specification<T>) => specification;
const many = (specification: Omit<Specification<string[]>, 'parse' | 'isList'>) =>
  ({ ...specification, isList: true, initial: [] as string[] }) as const;

export const DAEMON_OPTIONS = {
  state: one({
    meta: '<path>',
    description: 'build the graph from this revision, not from a runtime',
  }),
  pids: one({
    meta: '<file>',
    description: 'with --state: JSON object, container name to init pid',
  }),
  docker: one({
    meta: '<socket>',
    description:
      'build the graph from the labels of containers of this engine; Docker: /var/run/docker.sock',
    conflicts: 'state',
  }),
  ingress: one({
    meta: '<file>',
    description: 'with --docker: JSON with "ingress" as in device.json',
  }),
  'pv-ctrl': one({
    meta: '<path>',
    description: "the runtime's control socket",
    initial: '/run/pantavisor/pv/pv-ctrl',
  }),
  control: one({
    meta: '<path>',
    description: "the daemon's control socket",
    initial: '/run/pv-xconnect/control.sock',
  }),
  certificates: one({
    meta: '<folder>',
    description: 'certificates and keys that ingress may use',
    initial: '/etc/pv-xconnect/certificates',
  }),
  user: one({
    meta: '<name>',
    description: 'whom to become once started (default: users of its own)',
  }),
  storage: one({
    meta: '<folder>',
    description: 'with --state or --docker: the uids of roles on the hosted bus are kept below it',
    initial: '/var/lib/pv-xconnect',
  }),
  bus: many({
    meta: '<path>',
    description: "socket of the runtime's own bus, on the host; may be repeated",
    shown: 'those that runtimes have',
  }),
  'bus-uids': one<UidRange>({
    meta: '<first-last>',
    description: 'uids of roles on the hosted bus',
    parse: uidRange,
  }),
  plugin: many({
    meta: '<module>',
    description: 'a module with a plugin; may be repeated',
    shown: 'none',
  }),
  drain: one<number>({
    meta: '<seconds>',
    description: 'for connections of a link that left',
    parse: milliseconds,
    initial: 5_000,
    shown: '5',
  }),
  'stop-drain': one<number>({
    meta: '<seconds>',
    description:
      "for all connections when it is told to end (default: 1; with --state or --docker, --drain's)",
    parse: milliseconds,
  }),
  patience: one<number>({
    meta: '<seconds>',
    description: 'how long a connection waits for its provider',
    parse: milliseconds,
    initial: 5_000,
    shown: '5',
  }),
  'link-memory': one<number>({
    meta: '<MiB>',
    description: "what a link's connections may hold for those who do not read",
    parse: mebibytes,
    initial: 64 * 2 ** 20,
    shown: '64',
  }),
  histograms: one({
    meta: '<when>',
    description: 'metrics of how long connections and HTTP requests take, for each link',
    choices: ['off', 'on'],
    initial: 'off',
  }),
  'log-level': one({
    meta: '<level>',
    description: 'what is logged',
    choices: LOG_LEVELS,
    initial: 'info',
  }),
  'log-format': one<LogFormat>({
    meta: '<format>',
    description:
      'lines for people (text) or programs (json); auto: text at a terminal and in a journal',
    choices: LOG_FORMATS,
    initial: 'auto',
  }),
} as const;

export type OptionName = keyof typeof DAEMON_OPTIONS;
export type OptionValues = {
  -readonly [N in OptionName]?: (typeof DAEMON_OPTIONS)[N] extends Specification<infer T>
    ? T
    : never;
};

/** A runtime that stops waits for its daemons, so they are quick. */
const RUNTIME_STOP_MS = 1_000;

/** An option is an environment variable too: `--log-level` is `PV_XCONNECT_LOG_LEVEL`. */
export function variableOf(name: string): string {
  return `PV_XCONNECT_${name.toUpperCase().replaceAll('-', '_')}`;
}

/** The value of an option after one more text for it. */
export function readValue(name: OptionName, text: string, before: unknown): WhyResult<unknown> {
  const { choices, isList, parse }: Partial<Specification<unknown>> = DAEMON_OPTIONS[name];
  if (isList)
    return ok([...((before as string[] | undefined) ?? []), ...text.split(',').filter(Boolean)]);
  if (choices && !choices.includes(text)) return no(`Allowed choices are ${choices.join(', ')}.`);
  return parse ? parse(text) : ok(text);
}

/** The values of the command line, of the variables behind it, and the defaults. Null: something of it is wrong. */
function readValues(words: readonly string[], env: NodeJS.ProcessEnv): OptionValues | null {
  const values: Record<string, unknown> = {};
  const take = (name: string, text: string | undefined) => {
    if (text === undefined || !Object.hasOwn(DAEMON_OPTIONS, name)) return false;
    const value = readValue(name as OptionName, text, values[name]);
    if (value.ok) values[name] = value.value;
    return value.ok;
  };
  for (let i = 0; i < words.length; i++) {
    if (words[i] === '--' && i === words.length - 1) break; // the end of the options
    const [, name = '', text] = /^--([^=]+)(?:=(.*))?$/s.exec(words[i] as string) ?? [];
    if (!take(name, text ?? words[++i])) return null;
  }
  for (const [name, { initial }] of Object.entries<Partial<Specification<unknown>>>(
    DAEMON_OPTIONS,
  )) {
    if (Object.hasOwn(values, name)) continue;
    const text = env[variableOf(name)];
    if (text === undefined) values[name] = initial;
    else if (!take(name, text)) return null;
  }
  return values as OptionValues;
}

/** `words`: of the command line. Null: something is wrong, which the command line of people can say. */
export function daemonOptions(
  words: readonly string[],
  env: NodeJS.ProcessEnv,
): DaemonOptions | null {
  const values = readValues(words, env);
  const uids = parseRange(env.PVX_BUS_UIDS ?? '');
  if (!values || !uids) return null;
  const buses = (env.PVX_BUSES ?? '').split('\n').filter(Boolean);
  const { state, docker, ingress, pids, drain = 0 } = values;
  if (state !== undefined && docker !== undefined) return null; // they conflict
  const isUnderRuntime = state === undefined && docker === undefined;
  const { control = '', 'pv-ctrl': pvCtrl = '' } = values;
  return {
    places: {
      source: state !== undefined ? 'state' : docker !== undefined ? 'docker' : 'pv-ctrl',
      ...{ path: resolve(state ?? docker ?? pvCtrl), control: resolve(control) },
    },
    ...(state === undefined ? {} : { statePath: state }),
    ...(pids === undefined ? {} : { pidsPath: pids }),
    ...(docker === undefined
      ? {}
      : { docker: ingress === undefined ? {} : { ingressPath: ingress } }),
    ...(isUnderRuntime ? {} : { hostedBus: { socket: buses[0] ?? '', uids } }),
    buses,
    plugins: values.plugin ?? [],
    logLevel: values['log-level'] ?? 'info',
    logFormat: values['log-format'] ?? 'auto',
    drainMs: drain,
    stopDrainMs: values['stop-drain'] ?? (isUnderRuntime ? RUNTIME_STOP_MS : drain),
    patienceMs: values.patience ?? 0,
    linkMemory: values['link-memory'] ?? 0,
    timed: values.histograms === 'on',
  };
}
