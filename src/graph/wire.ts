/**
 * The wire form of links, as `GET /xconnect-graph` has it: written in the order of the table of link fields, and read
 * from any runtime that has at least the fields that are needed.
 *
 * Reading is strict on types and bounds, because every string here ends up in a path, an address or a log; a bad
 * entry takes out itself alone, and is shown as failed where it says whose it is. What is reported about a link
 * (`state`, counters) is never part of what is wanted, so it is dropped on input: a graph that is read back stays the
 * same graph.
 */

import type { LinkError } from '../kernel/errors.js';
import { nearest } from '../kernel/nearest.js';
import { isObject, type JsonObject } from '../manifest/json.js';
import { MAX_DEPTH, MAX_ENTRIES } from '../manifest/limits.js';
import { LINK_FIELDS, type LinkKey, REPORTED, ROWS } from '../manifest/link-fields.js';
import { pointerTo, show } from '../manifest/problem.js';
import { faultsOf, named, object, type Schema } from '../manifest/schema.js';
import { isBusName } from '../manifest/text.js';
import { beyondReach, defaultTarget, targetError } from './endpoint.js';
import { type Link, linkId, type PolicyRules, RUNTIME_PROVIDER } from './link.js';

/** Errors, and notices, of one graph that are said one by one. */
const MAX_SAID = 100;
/** Unknown names of one graph that are compared with ours: a graph may have millions of them. */
const MAX_COMPARED = 1_000;
/** Rules in one policy, of which the schema bounds each list. */
const MAX_POLICY = 2 * MAX_ENTRIES;

const KNOWN = [...ROWS.map(([, { wire }]) => wire), ...REPORTED];
const KEY_OF: ReadonlyMap<string, LinkKey> = new Map(ROWS.map(([key, { wire }]) => [wire, key]));
const NEEDED = ROWS.filter(([, { needed }]) => needed === 'always');
/** Of a link that can't be made it need not be known where it would lead. */
const UNLESS_FAILED = ROWS.filter(([, { needed }]) => needed === 'unless-failed');
const namesOf = (fields: typeof ROWS) => fields.map(([, { wire }]) => wire);

const PROPERTIES = Object.fromEntries(ROWS.map(([, { wire, schema }]) => [wire, schema]));
const entrySchema = (name: string, required: readonly string[]): Schema =>
  named(name, { ...object('an object, a link', PROPERTIES, { required }), firstOnly: true });
/** An entry of a graph, its fields by their wire names; and one with an `error`. */
export const ENTRY = entrySchema('link', namesOf([...NEEDED, ...UNLESS_FAILED]));
export const FAILED_ENTRY = entrySchema('failed-link', namesOf(NEEDED));
/** What is shown of an entry that can't be read. */
const SHOWN = [
  'consumer',
  'consumerPid',
  'provider',
  'providerPid',
  'name',
  'type',
  'target',
] as const;
export const SHOWN_OF_ENTRY: Schema = named(
  'shown-of-link',
  object(
    'an object, a link',
    Object.fromEntries(SHOWN.map((key) => [LINK_FIELDS[key].wire, LINK_FIELDS[key].schema])),
  ),
);

export type WireLink = Record<string, unknown>;

/** A plain object: its fields that are set in the order of the table, then what was kept for others. */
export function linkToWire(link: Link): WireLink {
  const wire: WireLink = {};
  for (const [key, field] of ROWS) {
    if (link[key] !== undefined) wire[field.wire] = link[key];
  }
  return { ...wire, ...link.extra };
}

export interface ParsedGraph {
  /** Those that can't be read, but for whose they are, come last, with the error `runtime-answer`. */
  readonly links: readonly Link[];
  /** One sentence each; not empty means that something was left out. */
  readonly errors: readonly string[];
  /** The same about fields that nobody knows and that are nearly one of ours. */
  readonly notices: readonly string[];
}

/** Never throws; `json` is what JSON.parse gave. */
export function parseGraph(json: unknown): ParsedGraph {
  if (!Array.isArray(json)) {
    const errors = [`Found ${show(json)}, expected an array of links.`];
    return { links: [], errors, notices: [] };
  }
  const links = new Map<string, Link>();
  const errors: string[] = [];
  const compared = new Map<string, string | null>();
  const activatable = new Map<string, string[]>();
  const failed: Link[] = [];
  for (const [index, entry] of json.slice(0, MAX_ENTRIES).entries()) {
    if (isAboutName(entry)) {
      noteActivatable(entry, activatable);
      continue;
    }
    const link = parseLink(entry);
    if (typeof link === 'string') {
      errors.push(`${pointerTo('', index)}${link}`);
      const shown = unreadable(entry, link);
      if (shown) failed.push(shown);
      continue;
    }
    noteNearMisses(link, index, compared);
    if (links.has(linkId(link))) {
      const what = `${show(link.name)} of ${show(link.consumer)} at ${show(link.target)}`;
      errors.push(`${pointerTo('', index)}: found ${what} again, expected each link once.`);
    } else links.set(linkId(link), link);
  }
  for (const link of failed) if (!links.has(linkId(link))) links.set(linkId(link), link);
  if (json.length > MAX_ENTRIES) {
    errors.unshift(
      `Found ${json.length} links, expected at most ${MAX_ENTRIES}: the rest is left out.`,
    );
  }
  const all = [...links.values()].map((link) => withActivatable(link, activatable));
  const notices = [...compared.values()].filter((notice) => notice !== null);
  return { links: all, errors: bounded(errors), notices: notices.slice(0, MAX_SAID) };
}

/** Each name once, where it was first. `compared`: by name the notice, or null where it is near none of ours. */
function noteNearMisses(
  { extra = {} }: Link,
  index: number,
  compared: Map<string, string | null>,
): void {
  for (const name of Object.keys(extra)) {
    if (compared.size === MAX_COMPARED) return;
    if (compared.has(name)) continue;
    const meant = nearest(name, KNOWN, 1);
    const place = pointerTo(pointerTo('', index), name);
    const notice = `${place}: found the unknown field ${show(name)}, expected ${show(meant)}.`;
    compared.set(name, meant === undefined ? null : notice);
  }
}

/** Pantavisor says between its links what it knows about names of its bus: `activatable` and `consumes`. */
function isAboutName(entry: unknown): entry is JsonObject {
  return (
    isObject(entry) && !('provider' in entry) && ('activatable' in entry || 'consumes' in entry)
  );
}

/** By the socket of the bus. */
function noteActivatable({ activatable, socket }: JsonObject, names: Map<string, string[]>): void {
  if (typeof activatable !== 'string' || !isBusName(activatable)) return;
  if (typeof socket !== 'string') return;
  names.set(socket, [...(names.get(socket) ?? []), activatable]);
}

function withActivatable(link: Link, names: ReadonlyMap<string, string[]>): Link {
  const activates = names.get(link.socket);
  if (!activates || link.activates || link.provider !== RUNTIME_PROVIDER) return link;
  return { ...link, activates };
}

/** The link, or what is wrong: `/field: found ..., expected ....` */
function parseLink(entry: unknown): Link | string {
  if (!isObject(entry)) return `: found ${show(entry)}, expected an object.`;
  const said = withoutAbsent(entry);
  const [fault] = faultsOf(said.error === undefined ? ENTRY : FAILED_ENTRY, said);
  if (fault) return `${fault.pointer}: found ${fault.found}, expected ${fault.expected}.`;
  const ours: Partial<Record<LinkKey, unknown>> = {};
  const others: [string, unknown][] = [];
  for (const [name, value] of Object.entries(said)) {
    const key = KEY_OF.get(name);
    if (key)
      ours[key] = typeof value === 'number' ? value + 0 : value; // -0 is 0
    else if (deeper(value, MAX_DEPTH)) {
      return `${pointerTo('', name)}: found ${show(value)}, expected nesting of at most ${MAX_DEPTH}.`;
    } else if (!REPORTED.includes(name)) others.push([name, value]);
  }
  const read = ours as Pick<Link, 'consumer' | 'consumerPid' | 'providerPid' | 'name'> &
    Partial<Link>;
  const { type = '', provider = '', socket = '', device, error, policy } = read;
  const rules = policy ? rulesIn(policy) : 0;
  if (rules > MAX_POLICY) return `/policy: found ${rules} rules, expected at most ${MAX_POLICY}.`;
  const target = read.target || defaultTarget(read.name, type, socket || undefined) || '';
  return {
    ...read,
    ...{ provider, type, socket, target },
    role: read.role || LINK_FIELDS.role.absent,
    interface: read.interface || type,
    ...targetFault(target, type, device),
    ...(error ? { error: { code: error.code, message: error.message } } : {}),
    ...(others.length === 0 ? {} : { extra: Object.fromEntries(others) }),
  };
}

/** null is as good as absent in a field of ours, and an empty host: some runtimes write all their fields. */
function withoutAbsent(entry: JsonObject): JsonObject {
  const isFailed = (entry.error ?? undefined) !== undefined;
  const empty = isFailed ? [...namesOf(UNLESS_FAILED), 'host'] : ['host'];
  const isAbsent = ([name, value]: [string, unknown]) =>
    (value === null && KNOWN.includes(name)) || (value === '' && empty.includes(name));
  const { http } = entry;
  const all = Object.entries(entry);
  const said = all.filter((field) => !isAbsent(field));
  if (said.length === all.length && http === undefined) return entry; // as most are
  if (isObject(http)) said.push(['http', withoutNulls(http)]);
  return Object.fromEntries(said);
}

function withoutNulls(options: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null));
}

function rulesIn({
  see = [],
  talk = [],
  own = [],
  call = {},
  broadcast = {},
}: PolicyRules): number {
  const lists = [see, talk, own, ...Object.values(call), ...Object.values(broadcast)];
  return lists.reduce((count, list) => count + list.length, 0);
}

/** Nested more than `max` deep? Goes no deeper than that itself. */
function deeper(value: unknown, max: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return max === 0 || Object.values(value).some((inner) => deeper(inner, max - 1));
}

/** Nobody could be given it, or nobody could connect there. */
function targetFault(target: string, type: string, device: Link['device']): { error?: LinkError } {
  const fault =
    target === ''
      ? { found: `no target for type ${type}`, expected: 'IP:PORT' }
      : beyondReach(target, type, device);
  return fault ? { error: targetError(fault) } : {};
}

/** What there is to show of an entry that can't be read; undefined where it does not say which link it is about. */
function unreadable(entry: unknown, fault: string): Link | undefined {
  if (!isObject(entry)) return undefined;
  const said = withoutAbsent(entry);
  const faulty = new Set(faultsOf(SHOWN_OF_ENTRY, said).map(({ pointer }) => pointer));
  const sound = <K extends (typeof SHOWN)[number]>(key: K): Link[K] | undefined => {
    const { wire } = LINK_FIELDS[key];
    return faulty.has(pointerTo('', wire)) ? undefined : (said[wire] as Link[K] | undefined);
  };
  const [consumer, name] = [sound('consumer'), sound('name')];
  const isTargetSound = !faulty.has(pointerTo('', LINK_FIELDS.target.wire));
  if (consumer === undefined || name === undefined || !isTargetSound) return undefined;
  const type = sound('type') ?? '';
  return {
    consumer,
    consumerPid: sound('consumerPid') ?? 0,
    provider: sound('provider') ?? '',
    providerPid: sound('providerPid') ?? 0,
    name,
    type,
    role: 'any',
    interface: type,
    target: sound('target') || defaultTarget(name, type, undefined) || '',
    socket: '',
    error: { code: 'runtime-answer', message: `Its entry in the graph can't be read: ${fault}` },
  };
}

function bounded(errors: readonly string[]): string[] {
  if (errors.length <= MAX_SAID) return [...errors];
  return [...errors.slice(0, MAX_SAID), `${errors.length - MAX_SAID} more entries are wrong.`];
}
