/**
 * What a requirement may say about how HTTP is served to it, in the shape that manifests and the wire form share:
 * read from either, each field by its type and bound. Pure.
 */
import { parseRule } from './http-rule.js';
import { suggestion } from './nearest.js';

export interface HttpLimits {
  /** Bytes of a head. */
  readonly head?: number;
  /** Fields of a head. */
  readonly headers?: number;
  /** Of one address or socket, at once. */
  readonly connections?: number;
  /** Of HTTP/2, of one address, at once. */
  readonly streams?: number;
  /** Seconds: for a head to come; that a client is waited for; for the head of an answer; without a byte within it. */
  readonly head_timeout?: number;
  readonly idle_timeout?: number;
  readonly answer_timeout?: number;
  readonly silence_timeout?: number;
}

export interface HttpOptions {
  /** http only. Absent: true, the prefix of the target is taken from the path. */
  readonly strip_prefix?: boolean;
  /** Ingress only: files below the folder of certificates. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Seconds. */
  readonly health?: {
    readonly path: string;
    readonly interval?: number;
    readonly timeout?: number;
  };
  readonly limits?: HttpLimits;
  readonly access_log?: boolean;
  /** Absent: true, the provider is told of the proxy (RFC 9110, 7.6.3). */
  readonly via?: boolean;
}

/** Which of them a requirement may have, by name. */
export const HTTP_FIELDS = [
  'strip_prefix',
  'tls',
  'health',
  'limits',
  'access_log',
  'via',
] as const;

export const MAX_RULES = 1000;
const MAX_RULE = 1024;
const MAX_PATH = 1024;
const MAX_SECONDS = 86_400;

type Check = (value: unknown) => boolean;
type Fields = Readonly<Record<string, readonly [check: Check, expected: string]>>;

const FLAG: readonly [Check, string] = [(value) => typeof value === 'boolean', 'true or false'];
const SECONDS = number(0.1, MAX_SECONDS, false, 'seconds');
const FILE: readonly [Check, string] = [
  (value) =>
    isText(value, 255) &&
    /^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/.test(value),
  'the name of a file in the folder of certificates, such as "site/cert.pem"',
];

const TLS: Fields = { cert: FILE, key: FILE };
const HEALTH: Fields = {
  path: [
    (value) => isText(value, MAX_PATH) && /^\/[\x21-\x7e]*$/.test(value) && !value.includes('#'),
    'a path such as "/health"',
  ],
  interval: SECONDS,
  timeout: SECONDS,
};
const LIMITS: Fields = {
  head: number(256, 65_536, true, 'bytes'),
  headers: number(1, 1000, true, 'headers'),
  connections: number(1, 65_535, true, 'connections'),
  streams: number(1, 65_535, true, 'streams'),
  head_timeout: SECONDS,
  idle_timeout: SECONDS,
  answer_timeout: SECONDS,
  silence_timeout: SECONDS,
};
const OPTIONS: Fields = {
  strip_prefix: FLAG,
  tls: [isObject, 'an object with "cert" and "key"'],
  health: [isObject, 'an object with a "path"'],
  limits: [isObject, 'an object of limits'],
  access_log: FLAG,
  via: FLAG,
};
const INNER: Readonly<Record<string, readonly [fields: Fields, needed: readonly string[]]>> = {
  tls: [TLS, ['cert', 'key']],
  health: [HEALTH, ['path']],
  limits: [LIMITS, []],
};

/** What is wrong: the way to the value, the value, and what was expected there. */
export interface OptionFault {
  readonly path: readonly string[];
  readonly found: unknown;
  readonly expected: string;
}

/** `entry` may have any other fields. Unknown ones in an inner object are faults. */
export function readHttpOptions(
  entry: Readonly<Record<string, unknown>>,
): HttpOptions | OptionFault {
  const options: Record<string, unknown> = {};
  for (const name of HTTP_FIELDS) {
    const value = Object.hasOwn(entry, name) ? (entry[name] ?? undefined) : undefined;
    if (value === undefined) continue;
    const [check, expected] = OPTIONS[name] as readonly [Check, string];
    if (!check(value)) return { path: [name], found: value, expected };
    const fault = INNER[name] && readInner(name, value as Record<string, unknown>, ...INNER[name]);
    if (fault) return fault;
    options[name] = value;
  }
  return options;
}

export function isOptionFault(read: HttpOptions | OptionFault): read is OptionFault {
  return 'expected' in read;
}

function readInner(
  name: string,
  value: Readonly<Record<string, unknown>>,
  fields: Fields,
  needed: readonly string[],
): OptionFault | undefined {
  const missing = needed.find((field) => !Object.hasOwn(value, field));
  if (missing !== undefined) {
    const expected = (fields[missing] as readonly [Check, string])[1];
    return { path: [name, missing], found: undefined, expected };
  }
  for (const [field, inner] of Object.entries(value)) {
    if (!Object.hasOwn(fields, field)) {
      const names = Object.keys(fields);
      const expected = `no other fields than ${names.join(', ')}${suggestion(field, names)}`;
      return { path: [name, field], found: field, expected };
    }
    const [check, expected] = fields[field] as readonly [Check, string];
    if (!check(inner)) return { path: [name, field], found: inner, expected };
  }
  return undefined;
}

/** A rule of bounded length. */
export function isRule(text: unknown): text is string {
  return isText(text, MAX_RULE) && parseRule(text) !== null;
}

function number(
  least: number,
  most: number,
  whole: boolean,
  what: string,
): readonly [Check, string] {
  const check = (value: unknown) =>
    typeof value === 'number' &&
    (!whole || Number.isInteger(value)) &&
    value >= least &&
    value <= most;
  return [check, `a number of ${what} from ${least} to ${most}`];
}

function isText(value: unknown, most: number): value is string {
  return typeof value === 'string' && value.length <= most;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
