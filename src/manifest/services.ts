/**
 * `<container>/services.json` to services. A bad entry takes out itself alone.
 */

import { isObject } from './json.js';
import { MAX_ENTRIES } from './limits.js';
import { noteMisplaced } from './misplaced.js';
import { type Place, pointerTo, show } from './problem.js';
import type { ProblemList } from './problem-list.js';
import type { PolicyRules, Service } from './revision.js';
import { meets } from './schema.js';
import { SERVICE_SCHEMA } from './service-schema.js';
import { isNetworked } from './target.js';
import type { InputMatch, ServiceType } from './vocabulary.js';

export const SERVICE_SPECS = ['service-manifest-xconnect@1', 'service-manifest-xconnect@2'];
export const SYSTEM_BUS = 'system-bus';
/** Of an entry of `allow` that means a container, not a role. */
export const CONTAINER_PREFIX = 'container:';
const BUS_DRIVER = 'org.freedesktop.DBus';

/** Fields that mean something for some types only. */
const FIELD_TYPES: Readonly<Record<string, readonly ServiceType[]>> = {
  port: ['tcp', 'http'],
  mode: ['unix'],
  fds: ['unix'],
  access: ['drm', 'input'],
  lease: ['drm'],
  match: ['input'],
  proxy_protocol: ['unix', 'rest', 'tcp', 'http'],
  bus: ['dbus'],
  owns: ['dbus'],
  policy: ['dbus'],
  rules: ['rest', 'http', 'unix', 'tcp'],
  policy_mode: ['dbus'],
};

type Reshaped = 'proxyProtocol' | 'activation' | 'policy' | 'policyMode' | 'rules' | 'place';

/** An entry that meets the schema: a service, but for what JSON spells or shapes otherwise. */
interface Entry extends Omit<Service, Reshaped> {
  readonly proxy_protocol?: 1 | 2;
  readonly activation?: { readonly mode: 'always' | 'on-demand' };
  readonly policy?: Readonly<Record<string, PolicyRules>>;
  readonly policy_mode?: 'enforce' | 'audit';
  readonly rules?: Readonly<Record<string, readonly string[]>>;
}

export function readServices(value: unknown, file: string, problems: ProblemList): Service[] {
  const list = listOf(value, file, problems);
  if (!list) return [];
  const services: Service[] = [];
  const names = new Set<string>();
  for (const [index, item] of boundedEntries(list.items, list.place, problems)) {
    const place = { file, pointer: pointerTo(list.place.pointer, index) };
    if (!meets(SERVICE_SCHEMA, item, place, problems)) continue;
    const entry = item as Entry;
    if (!isWhole(entry, place, problems)) continue;
    if (entry.name !== undefined && names.has(entry.name)) {
      const at = { file, pointer: pointerTo(place.pointer, 'name') };
      problems.add('service-duplicate', at, `${show(entry.name)} again`, 'each name once');
      continue;
    }
    if (entry.name !== undefined) names.add(entry.name);
    services.push(toService(entry, place));
  }
  return services;
}

/** Entries with their indexes, not more than can be meant. */
export function* boundedEntries<T>(items: readonly T[], place: Place, problems: ProblemList) {
  yield* items.slice(0, MAX_ENTRIES).entries();
  if (items.length > MAX_ENTRIES) {
    problems.add('file-too-large', place, `${items.length} entries`, `at most ${MAX_ENTRIES}`);
  }
}

function listOf(value: unknown, file: string, problems: ProblemList) {
  const place = { file, pointer: '' };
  if (Array.isArray(value)) return { items: value as unknown[], place };
  if (!isObject(value)) {
    problems.add('shape-wrong', place, show(value), 'an object with "#spec" and "services"');
    return undefined;
  }
  const spec = value['#spec'];
  if (typeof spec !== 'string' || !SERVICE_SPECS.includes(spec)) {
    const found = spec === undefined ? 'no "#spec"' : `the "#spec" ${show(spec)}`;
    const at = spec === undefined ? place : { file, pointer: '/#spec' };
    problems.add('spec-wrong', at, found, SERVICE_SPECS.map(show).join(' or '));
    return undefined;
  }
  const items = value.services;
  if (Array.isArray(items))
    return { items: items as unknown[], place: { file, pointer: '/services' } };
  const at = items === undefined ? place : { file, pointer: '/services' };
  problems.add('shape-wrong', at, items === undefined ? 'no "services"' : show(items), 'an array');
  return undefined;
}

/** Do the fields, each right by itself, make a service together? */
function isWhole(entry: Entry, place: Place, problems: ProblemList): boolean {
  const before = problems.count;
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
  if (problems.count > before) return false;
  noteIgnored(entry, place, problems);
  if (entry.type === 'dbus' && entry.policy_mode !== undefined && !entry.policy) {
    const found = '"policy_mode" without "policy"';
    problems.add('policy-invalid', at('policy_mode'), found, 'a policy to apply', 'notice');
  }
  return true;
}

function noteIgnored(entry: Entry, place: Place, problems: ProblemList): void {
  for (const [field, types] of Object.entries(FIELD_TYPES)) {
    if (Object.hasOwn(entry, field)) noteMisplaced(field, entry.type, types, place, problems);
  }
  const container = entry.allow?.find((caller) => caller.startsWith(CONTAINER_PREFIX));
  if (entry.owns !== undefined && entry.name === undefined && container !== undefined) {
    const found = `${show(container)}, who has no uid on a bus and so can't be allowed anything there`;
    const at = { file: place.file, pointer: pointerTo(place.pointer, 'allow') };
    problems.add('shape-wrong', at, found, 'roles', 'notice');
  }
}

const COPIED = ['name', 'socket', 'port', 'mode', 'fds', 'access', 'lease', 'allow'] as const;

function toService(entry: Entry, place: Place): Service {
  const { type } = entry;
  const meant = COPIED.filter(
    (field) => entry[field] !== undefined && (FIELD_TYPES[field]?.includes(type) ?? true),
  );
  const copied: Pick<Entry, (typeof COPIED)[number]> = Object.fromEntries(
    meant.map((field) => [field, entry[field]]),
  );
  const rules = FIELD_TYPES.rules?.includes(type) ? entry.rules : undefined;
  const match = type === 'input' ? entry.match : undefined;
  const expectsHeader = FIELD_TYPES.proxy_protocol?.includes(type) && entry.proxy_protocol;
  const {
    owns,
    role,
    bus = SYSTEM_BUS,
    activation,
    policy,
    policy_mode,
  } = type === 'dbus' ? entry : {};
  return {
    ...copied,
    type,
    ...(match ? { match: matchOf(match), socket: entry.socket ?? `/dev/input/${entry.name}` } : {}),
    ...(expectsHeader ? { proxyProtocol: expectsHeader } : {}),
    ...(owns !== undefined && role !== undefined ? { bus, owns, role } : {}),
    ...(activation ? { activation: activation.mode } : {}),
    ...(rules ? { rules: new Map(Object.entries(rules)) } : {}),
    ...(policy ? { policy: new Map(Object.entries(policy)) } : {}),
    ...(policy && policy_mode === 'audit' ? { policyMode: 'audit' as const } : {}),
    place,
  };
}

/** With its numbers as sysfs writes them. */
function matchOf({ vendor, product, ...texts }: InputMatch): InputMatch {
  return {
    ...texts,
    ...(vendor === undefined ? {} : { vendor: vendor.toLowerCase() }),
    ...(product === undefined ? {} : { product: product.toLowerCase() }),
  };
}
