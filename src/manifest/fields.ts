/**
 * The fields that an entry may have, and what is said about those that it may not.
 *
 * One table for the entries of `services.json`, one for requirements and ingress rules: a field that the types have
 * and a table lacks does not compile. A field that limits access is a *guard*: where it is misspelt, or stands where
 * nobody would keep it, the entry is refused, because to serve it without would be to serve it open. Any other
 * unknown field is ignored, and told.
 */
import type { HttpOptions } from '../kernel/http-options.js';
import { nearest } from '../kernel/nearest.js';
import { type Place, pointerTo, show } from './problem.js';
import type { ProblemList } from './problem-list.js';
import type { PolicyRules, Service } from './revision.js';
import type { ServiceType } from './vocabulary.js';

export interface Field {
  /** Types that it means something for. Absent: all. */
  readonly types?: readonly ServiceType[];
  /** It limits who may do what: without it more would be possible. */
  readonly guard?: true;
}

type Table<T> = { readonly [K in keyof Required<T>]: Field };

type Reshaped =
  | 'proxyProtocol'
  | 'activation'
  | 'policy'
  | 'policyMode'
  | 'rules'
  | 'allow'
  | 'calls'
  | 'place';

/** Somebody who may consume a service: a role, `container:<name>`, or a role that may make some calls only. */
export type Caller =
  | string
  | {
      readonly role: string;
      readonly interfaces?: readonly string[];
      readonly members?: readonly string[];
      readonly paths?: readonly string[];
    };

/** An entry of `services.json` that meets its schema: a service, but for what JSON spells or shapes otherwise. */
export interface ServiceEntry extends Omit<Service, Reshaped> {
  readonly allow?: readonly Caller[];
  readonly proxy_protocol?: 1 | 2;
  readonly activation?: { readonly mode: 'always' | 'on-demand' };
  readonly policy?: Readonly<Record<string, PolicyRules>>;
  readonly policy_mode?: 'enforce' | 'audit';
  readonly rules?: Readonly<Record<string, readonly string[]>>;
}

export const SERVICE_FIELDS: Table<ServiceEntry> = {
  name: {},
  type: {},
  socket: {},
  port: { types: ['tcp', 'http'] },
  mode: { types: ['unix'] },
  fds: { types: ['unix'] },
  access: { types: ['drm', 'input'], guard: true },
  lease: { types: ['drm'], guard: true },
  match: { types: ['input'], guard: true },
  proxy_protocol: { types: ['unix', 'rest', 'tcp', 'http'], guard: true },
  allow: { guard: true },
  bus: { types: ['dbus'] },
  owns: { types: ['dbus'], guard: true },
  role: { types: ['dbus'], guard: true },
  activation: {},
  policy: { types: ['dbus'], guard: true },
  policy_mode: { types: ['dbus'], guard: true },
  rules: { types: ['rest', 'http', 'unix', 'tcp'], guard: true },
};

/** A name on the hosted bus that a consumer needs. */
export type WantedName =
  | string
  | { readonly name: string; readonly activation?: { readonly mode: 'none' | 'on-owner' } };

/** A requirement or an ingress rule that meets its schema. */
export interface RequirementEntry extends HttpOptions {
  readonly name?: string;
  readonly service?: string;
  readonly names?: readonly WantedName[];
  readonly type?: ServiceType;
  readonly target?: string;
  readonly external?: string;
  readonly role?: string;
  readonly provider?: string;
  readonly interface?: string;
  readonly mode?: 'node' | 'fd';
  readonly host?: string;
  readonly proxy_protocol?: 1 | 2;
  readonly max_connections?: number;
  readonly allow_from?: readonly string[];
}

/** What is about HTTP. */
const HTTP: Field = { types: ['http', 'rest'] };

/** What is about clients from a network does not mean anything at a path. */
export const REQUIREMENT_FIELDS: Table<RequirementEntry> = {
  name: {},
  service: {},
  names: {},
  type: {},
  target: {},
  external: {},
  role: { guard: true },
  provider: { guard: true },
  interface: {},
  mode: {},
  host: { types: ['http'], guard: true },
  proxy_protocol: { guard: true },
  max_connections: { types: ['tcp', 'http'] },
  allow_from: { types: ['tcp', 'http'], guard: true },
  strip_prefix: HTTP,
  tls: { ...HTTP, guard: true },
  health: HTTP,
  limits: HTTP,
  access_log: HTTP,
  via: HTTP,
};

/** Words that speak of access: a field with one of them was to close something, whatever it is called. */
const ABOUT_ACCESS =
  /^(allow|deny|denie|forbid|permi|restrict|polic|rule|role|access|acl|authent|authori|secur)/;
/** A note to the reader, as JSON has no comments. */
const A_NOTE = /^([#$_]|x-)/;

/** What is known of the fields that may stand somewhere. */
export interface KnownFields {
  readonly here: Readonly<Record<string, Field>>;
  /** Those that people put here and that mean something in another place, and that place. */
  readonly elsewhere?: { readonly fields: Readonly<Record<string, Field>>; readonly where: string };
}

export const OF_A_SERVICE: KnownFields = {
  here: SERVICE_FIELDS,
  elsewhere: { fields: REQUIREMENT_FIELDS, where: 'it in a requirement of the service' },
};
export const OF_A_REQUIREMENT: KnownFields = {
  here: REQUIREMENT_FIELDS,
  elsewhere: { fields: SERVICE_FIELDS, where: 'it in the services.json of the provider' },
};
/** Beside the list of services. */
export const OF_A_SERVICE_FILE: KnownFields = {
  here: { '#spec': {}, services: {}, roles: {} },
  elsewhere: { fields: SERVICE_FIELDS, where: 'it in an entry of "services"' },
};
export const OF_RUN_SERVICES: KnownFields = {
  here: { required: { guard: true }, optional: { guard: true } },
  elsewhere: { fields: REQUIREMENT_FIELDS, where: 'it in an entry of "required"' },
};

/**
 * Says which fields of `entry` nobody knows. False: one of them limits access, or was to, so that the entry must not
 * be served.
 */
export function fieldsAreKnown(
  entry: object,
  { here: known, elsewhere }: KnownFields,
  place: Place,
  problems: ProblemList,
): boolean {
  let sound = true;
  for (const name of Object.keys(entry)) {
    if (Object.hasOwn(known, name)) continue;
    const misplaced = elsewhere && Object.hasOwn(elsewhere.fields, name);
    const meant = misplaced ? undefined : nearest(name, Object.keys(known));
    const field = misplaced ? elsewhere.fields[name] : known[meant ?? ''];
    const isGuard = field?.guard === true || isAboutAccess(name);
    if (field === undefined && !isGuard && A_NOTE.test(name)) continue;
    const guards = Object.keys(known).filter((one) => known[one]?.guard);
    const expected = misplaced
      ? elsewhere.where
      : meant !== undefined
        ? show(meant)
        : isGuard && guards.length > 0
          ? `one of ${guards.join(', ')}`
          : 'one that is known here';
    const at = { file: place.file, pointer: pointerTo(place.pointer, name) };
    const found = `the unknown field ${show(name)}`;
    problems.add('field-unknown', at, found, expected, isGuard ? 'error' : 'notice');
    sound &&= !isGuard;
  }
  return sound;
}

/** Of an object whose other fields are somebody else's: says only which are a near miss of ours. */
export function noteNearMisses(
  object: object,
  known: readonly string[],
  place: Place,
  problems: ProblemList,
  severity: 'error' | 'notice',
): void {
  for (const name of Object.keys(object)) {
    const meant = known.includes(name) ? undefined : nearest(name, known, 1);
    if (meant === undefined || Object.hasOwn(object, meant)) continue;
    const at = { file: place.file, pointer: pointerTo(place.pointer, name) };
    problems.add('field-unknown', at, `the unknown field ${show(name)}`, show(meant), severity);
  }
}

/** `field` stands in an entry of this type, where it may mean nothing. */
export function noteMisplaced(
  field: string,
  { types }: Field,
  type: ServiceType,
  place: Place,
  problems: ProblemList,
  severity: 'error' | 'notice' = 'notice',
): void {
  if (!types || types.includes(type)) return;
  const at = { file: place.file, pointer: pointerTo(place.pointer, field) };
  const found = `${show(field)} on type ${type}, which does not keep it`;
  problems.add('field-ignored', at, found, `it on ${types.join(' or ')} only`, severity);
}

function isAboutAccess(name: string): boolean {
  const words = name.replaceAll(/([a-z])([A-Z])/g, '$1 $2').split(/[^A-Za-z]+/);
  return words.some((word) => ABOUT_ACCESS.test(word.toLowerCase()));
}
