/**
 * `<container>/services.json` to services. A bad entry takes out itself alone.
 */

import type { EntryFields, NarrowedCaller, ServiceEntry, Vocabulary } from './entries.js';
import { fieldsAreKnown, noteMisplaced, OF_A_SERVICE_FILE, ofService } from './fields.js';
import { isObject } from './json.js';
import { MAX_ENTRIES } from './limits.js';
import { sidesOf } from './link-fields.js';
import type { InputMatch } from './link-values.js';
import { isContainerPath } from './paths.js';
import { type Place, pointerTo, show } from './problem.js';
import type { ProblemList } from './problem-list.js';
import type { RefusedService, Service } from './revision.js';
import { meets } from './schema.js';
import { isNetworked } from './target.js';
import { isBusName, isName } from './text.js';

export const SERVICE_SPECS = ['service-manifest-xconnect@1', 'service-manifest-xconnect@2'];
export const SYSTEM_BUS = 'system-bus';
/** Of an entry of `allow` that means a container, not a role. */
export const CONTAINER_PREFIX = 'container:';
const BUS_DRIVER = 'org.freedesktop.DBus';

/** What the services of a container come to. */
export interface ServicesRead {
  readonly services: readonly Service[];
  readonly refused: readonly RefusedService[];
}

/** One entry, and where it stands. */
export interface ListedService {
  readonly item: unknown;
  readonly place: Place;
  /** False after adding a problem: it may not be served. */
  readonly sound: boolean;
}

/** The entries of a whole `services.json`. */
export function* servicesIn(
  value: unknown,
  file: string,
  problems: ProblemList,
): Generator<ListedService> {
  const { items, place, sound } = listOf(value, file, problems);
  for (const [index, item] of boundedEntries(items, place, problems)) {
    yield { item, place: { file, pointer: pointerTo(place.pointer, index) }, sound };
  }
}

/** All that one container provides. */
export function readServices(
  entries: Iterable<ListedService>,
  vocabulary: Vocabulary,
  problems: ProblemList,
): ServicesRead {
  const services: Service[] = [];
  const refused: RefusedService[] = [];
  const names = new Set<string>();
  for (const { item, place, sound } of entries) {
    const entry = sound ? readEntry(item, place, vocabulary, problems) : undefined;
    if (!entry) {
      refused.push(refusedOf(item, place, vocabulary));
    } else if (entry.name !== undefined && names.has(entry.name)) {
      const twice = { file: place.file, pointer: pointerTo(place.pointer, 'name') };
      problems.add('service-duplicate', twice, `${show(entry.name)} again`, 'each name once');
    } else {
      if (entry.name !== undefined) names.add(entry.name);
      services.push(toService(entry, place, vocabulary));
    }
  }
  return { services, refused };
}

/** Undefined after adding a problem. */
function readEntry(
  item: unknown,
  place: Place,
  vocabulary: Vocabulary,
  problems: ProblemList,
): ServiceEntry | undefined {
  const isKnown = !isObject(item) || fieldsAreKnown(item, ofService(vocabulary), place, problems);
  if (!meets(vocabulary.schemas.service, item, place, problems) || !isKnown) return undefined;
  return isWhole(item, place, vocabulary, problems) ? item : undefined;
}

/** What it was to be called, as far as that can be told. */
function refusedOf(item: unknown, place: Place, { types }: Vocabulary): RefusedService {
  const { name, owns, type, socket } = isObject(item) ? item : {};
  const known = types.find((one) => one === type);
  return {
    ...(known ? { type: known } : {}),
    ...(typeof socket === 'string' && isContainerPath(socket) ? { socket } : {}),
    ...(typeof name === 'string' && isName(name) ? { name } : {}),
    ...(typeof owns === 'string' && isBusName(owns) ? { owns } : {}),
    place,
  };
}

/** Entries with their indexes, not more than can be meant. */
export function* boundedEntries<T>(items: readonly T[], place: Place, problems: ProblemList) {
  yield* items.slice(0, MAX_ENTRIES).entries();
  if (items.length > MAX_ENTRIES) {
    problems.add('file-too-large', place, `${items.length} entries`, `at most ${MAX_ENTRIES}`);
  }
}

interface ServiceList {
  readonly items: readonly unknown[];
  readonly place: Place;
  /** False after adding a problem: none of them may be served. */
  readonly sound: boolean;
}

function listOf(value: unknown, file: string, problems: ProblemList): ServiceList {
  const place = { file, pointer: '' };
  if (Array.isArray(value)) return { items: value, place, sound: true };
  const inner = { file, pointer: '/services' };
  const items = isObject(value) && Array.isArray(value.services) ? value.services : [];
  const refused = { items, place: inner, sound: false };
  if (!isObject(value)) {
    problems.add('shape-wrong', place, show(value), 'an object with "#spec" and "services"');
    return refused;
  }
  const isKnown = fieldsAreKnown(value, OF_A_SERVICE_FILE, place, problems);
  const spec = value['#spec'];
  if (typeof spec !== 'string' || !SERVICE_SPECS.includes(spec)) {
    const found = spec === undefined ? 'no "#spec"' : `the "#spec" ${show(spec)}`;
    const at = spec === undefined ? place : { file, pointer: '/#spec' };
    problems.add('spec-wrong', at, found, SERVICE_SPECS.map(show).join(' or '));
    return refused;
  }
  if (!Array.isArray(value.services)) {
    const isAbsent = value.services === undefined;
    const found = isAbsent ? 'no "services"' : show(value.services);
    problems.add('shape-wrong', isAbsent ? place : inner, found, 'an array');
    return refused;
  }
  if (value.roles !== undefined) {
    const found = '"roles", which gives roles uids of the owner\'s choice';
    const at = { file, pointer: '/roles' };
    problems.add('field-ignored', at, found, 'roles to have uids of their own', 'notice');
  }
  return { items, place: inner, sound: isKnown };
}

/** Do the fields, each right by itself, make a service together? */
function isWhole(
  entry: ServiceEntry,
  place: Place,
  { service: fields }: Vocabulary,
  problems: ProblemList,
): boolean {
  const before = problems.errors;
  const networked = isNetworked(entry.type);
  const owner = entry.type === 'dbus' && entry.owns !== undefined;
  const at = (field: string) => ({ file: place.file, pointer: pointerTo(place.pointer, field) });
  if (entry.name === undefined && !owner) {
    problems.add('shape-wrong', place, 'no "name"', 'the name of the service');
  }
  if (networked && entry.socket !== undefined && entry.port !== undefined) {
    problems.add('shape-wrong', place, 'both "socket" and "port"', 'one of them');
  }
  const matched = entry.type === 'input' && entry.match !== undefined;
  const elsewhere = owner || matched || (networked && entry.port !== undefined);
  if (entry.socket === undefined && !elsewhere) {
    const expected = networked ? '"port", or "socket"' : '"socket", an absolute path';
    problems.add('shape-wrong', place, networked ? 'neither of the two' : 'no "socket"', expected);
  }
  if (entry.activation && !owner) {
    problems.add('activation-without-owns', at('activation'), 'no "owns"', 'a name to activate');
  }
  if (owner && entry.role === undefined) {
    problems.add('shape-wrong', place, '"owns" without "role"', 'the role that may own the name');
  }
  if (owner && entry.owns === BUS_DRIVER) {
    problems.add('name-invalid', at('owns'), "the bus's own name", 'another one');
  }
  if (owner && entry.policy && entry.name === undefined) {
    const expected = '"allow": nobody reads messages for a name on a hosted bus';
    problems.add('policy-invalid', at('policy'), '"policy" beside "owns"', expected);
  }
  if (entry.type === 'drm' && entry.lease && entry.access === 'ro') {
    problems.add('shape-wrong', at('access'), '"ro" beside "lease"', 'a lease, which is "rw"');
  }
  if (entry.role !== undefined && entry.type === 'dbus' && !owner) {
    const found = '"role" without "owns", which limits nothing';
    problems.add('field-ignored', at('role'), found, '"allow" for those who may consume it');
  }
  const narrowed = owner ? -1 : (entry.allow?.findIndex(isNarrowed) ?? -1);
  if (narrowed >= 0) {
    const found = '"interfaces", "members" or "paths" without "owns", where nobody keeps them';
    const where = { file: place.file, pointer: pointerTo(at('allow').pointer, narrowed) };
    problems.add('field-ignored', where, found, 'a role alone, or a "policy"');
  }
  for (const [field, rule] of Object.entries(fields)) {
    if (!Object.hasOwn(entry, field)) continue;
    const severity = rule.guard ? 'error' : 'notice';
    noteMisplaced(field, rule, entry.type, place, problems, severity);
  }
  if (problems.errors > before) return false;
  const container = entry.allow?.find((caller) => roleOf(caller).startsWith(CONTAINER_PREFIX));
  if (entry.owns !== undefined && entry.name === undefined && container !== undefined) {
    const found = `${show(container)}, who has no uid on a bus and so can't be allowed anything there`;
    problems.add('shape-wrong', at('allow'), found, 'roles', 'notice');
  }
  if (entry.type === 'dbus' && entry.policy_mode !== undefined && !entry.policy) {
    const found = '"policy_mode" without "policy"';
    problems.add('field-ignored', at('policy_mode'), found, 'a policy to apply', 'notice');
  }
  return true;
}

/** Somebody who may consume a service: a role, `container:<name>`, or a role that may make some calls only. */
type Caller = string | NarrowedCaller;

function roleOf(caller: Caller): string {
  return typeof caller === 'string' ? caller : caller.role;
}

function isNarrowed(caller: Caller): caller is NarrowedCaller {
  if (typeof caller === 'string') return false;
  return (caller.interfaces ?? caller.members ?? caller.paths) !== undefined;
}

const SIDES = sidesOf('service');

function toService(entry: ServiceEntry, place: Place, vocabulary: Vocabulary): Service {
  const { type, match, rules, policy, allow, port } = entry;
  const { owns, role, bus = SYSTEM_BUS, activation } = entry;
  const said: Readonly<Record<string, unknown>> = entry;
  const isMeant = (types: readonly string[] | undefined) => types?.includes(type) ?? true;
  const copied = SIDES.filter(([key, name, { types }]) => {
    if (key === 'policyMode' && !policy) return false; // a notice says that it is ignored
    return said[name] !== undefined && isMeant(types);
  });
  return {
    ...Object.fromEntries(copied.map(([key, name]) => [key, said[name]])),
    type,
    ...(match ? { match: matchOf(match), socket: entry.socket ?? `/dev/input/${entry.name}` } : {}),
    ...(port !== undefined && isMeant(vocabulary.service.port?.types) ? { port } : {}),
    ...(allow ? callersOf(allow) : {}),
    ...(owns !== undefined && role !== undefined ? { bus, owns, role } : {}),
    ...(activation ? { activation: activation.mode } : {}),
    ...(rules ? { rules: new Map(Object.entries(rules)) } : {}),
    ...(policy ? { policy: new Map(Object.entries(policy)) } : {}),
    ...optionsOf(said, type, vocabulary.options.service),
    place,
  };
}

/** What an entry says in the options of plugins for this type; `type` undefined: not known yet. */
export function optionsOf(
  entry: Readonly<Record<string, unknown>>,
  type: string | undefined,
  options: EntryFields,
): { readonly options?: Readonly<Record<string, unknown>> } {
  const isMeant = (name: string) =>
    Object.hasOwn(options, name) &&
    (type === undefined || options[name]?.types?.includes(type) === true);
  const said = Object.entries(entry).filter(([name]) => isMeant(name));
  return said.length === 0 ? {} : { options: Object.fromEntries(said) };
}

/** Those who may do everything, and those who may make some calls; who is among both may do everything. */
function callersOf(callers: readonly Caller[]): Pick<Service, 'allow' | 'calls'> {
  const allow = callers.filter((caller) => !isNarrowed(caller)).map(roleOf);
  const calls = callers.filter(isNarrowed).filter(({ role }) => !allow.includes(role));
  return { allow, ...(calls.length > 0 ? { calls } : {}) };
}

/** With its numbers as sysfs writes them. */
function matchOf({ vendor, product, ...texts }: InputMatch): InputMatch {
  return {
    ...texts,
    ...(vendor === undefined ? {} : { vendor: vendor.toLowerCase() }),
    ...(product === undefined ? {} : { product: product.toLowerCase() }),
  };
}
