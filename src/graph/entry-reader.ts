/**
 * Reads the fields of one wire link, each by its type and bound. The first fault is kept; what is read after
 * it is a placeholder that nobody uses.
 */
import { type ErrorCode, type LinkError, REMEDIES } from '../kernel/errors.js';
import { type HttpOptions, isOptionFault, readHttpOptions } from '../kernel/http-options.js';
import { isObject, type JsonObject } from '../manifest/json.js';
import { MAX_DEPTH, MAX_LEASED, MAX_STRING } from '../manifest/limits.js';
import { pointerTo, show } from '../manifest/problem.js';
import type { PolicyRules } from '../manifest/revision.js';
import type { InputMatch } from '../manifest/vocabulary.js';
import { readPolicy } from './policy-reader.js';

/** Characters of what sysfs says of a device, and of a connector's name. */
const MAX_SHORT = 255;
const MATCHED = new Set(['name', 'phys', 'vendor', 'product']);
const MAX_INT32 = 0x7fff_ffff;
/** (uid_t)-1 means "no change" to chown(2) and its kin, and is nobody's. */
const MAX_UID = 0xffff_fffe;
/** NUL ends a C string early, and a lone surrogate has no UTF-8: neither can be in a path or a name. */
const IMPOSSIBLE = /[\0\p{Cs}]/u;

export class EntryReader {
  /** `/field: found ..., expected ....`, with the pointer relative to the entry. */
  fault: string | undefined;
  readonly #entry: JsonObject;

  constructor(entry: JsonObject) {
    this.#entry = entry;
  }

  /** A string that must be there and not be empty. */
  text(field: string): string {
    return this.optionalText(field) || this.#fail(field, 'a string that is not empty', '');
  }

  /** A string, or undefined where there is none or null. */
  optionalText(field: string): string | undefined {
    const value = this.#get(field);
    if (value === undefined) return undefined;
    if (typeof value !== 'string') return this.#fail(field, 'a string', '');
    if (value.length <= MAX_STRING && !IMPOSSIBLE.test(value)) return value;
    return this.#fail(field, `a string of at most ${MAX_STRING} characters without NUL`, '');
  }

  pid(field: string): number {
    const value = this.#get(field);
    if (Number.isInteger(value) && Math.abs(Number(value)) <= MAX_INT32) return Number(value) || 0;
    return this.#fail(field, 'a pid, 0 where none runs', 0);
  }

  optional<K extends string, V>(field: K, values: readonly V[]): { [key in K]?: V } {
    const value = this.#get(field);
    if (value === undefined) return {};
    const known = values.find((one) => one === value);
    if (known === undefined) return this.#fail(field, `one of ${values.join(', ')}`, {});
    return { [field]: known } as { [key in K]?: V };
  }

  optionalId(field: 'uid'): { uid?: number } {
    const value = this.#get(field);
    if (value === undefined) return {};
    if (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MAX_UID) {
      return { uid: Number(value) || 0 };
    }
    return this.#fail(field, `a uid from 0 to ${MAX_UID}`, {});
  }

  optionalPolicy(): { policy?: PolicyRules } {
    const value = this.#get('policy');
    if (value === undefined) return {};
    const policy = readPolicy(value);
    return policy ? { policy } : this.#fail('policy', 'a policy, as docs/dbus.md has it', {});
  }

  optionalMode(): { policyMode?: 'audit' } {
    const { policy_mode: mode } = this.optional('policy_mode', ['enforce', 'audit'] as const);
    return mode === 'audit' ? { policyMode: mode } : {};
  }

  optionalNumber(field: string, least: number, most: number): number | undefined {
    const value = this.#get(field);
    if (value === undefined) return undefined;
    if (Number.isInteger(value) && Number(value) >= least && Number(value) <= most) {
      return Number(value);
    }
    return this.#fail(field, `a whole number from ${least} to ${most}`, undefined);
  }

  /** An array of texts that each pass; `what` they are, in the plural. */
  optionalList(
    field: string,
    most: number,
    passes: (text: string) => boolean,
    what: string,
  ): readonly string[] | undefined {
    const value = this.#get(field);
    if (value === undefined) return undefined;
    const isSound = (item: unknown) => typeof item === 'string' && passes(item);
    if (Array.isArray(value) && value.length <= most && value.every(isSound)) return value;
    return this.#fail(field, `an array of at most ${most} ${what}`, undefined);
  }

  optionalHost(): { host?: string } {
    const host = this.optionalText('host');
    return host === undefined ? {} : { host };
  }

  optionalHttp(): HttpOptions | undefined {
    const value = this.#get('http');
    if (value === undefined) return undefined;
    if (!isObject(value)) return this.#fail('http', 'an object', undefined);
    const read = readHttpOptions(value);
    if (!isOptionFault(read)) return read;
    const pointer = read.path.reduce(pointerTo, pointerTo('', 'http'));
    this.fault ??= `${pointer}: found ${show(read.found)}, expected ${read.expected}.`;
    return undefined;
  }

  optionalLease(): { lease?: string[] } {
    const value = this.#get('lease');
    if (value === undefined) return {};
    if (isLease(value)) return { lease: value };
    return this.#fail('lease', `an array of 1 to ${MAX_LEASED} names of connectors`, {});
  }

  optionalMatch(): { match?: InputMatch } {
    const value = this.#get('match');
    if (value === undefined) return {};
    if (isMatch(value)) return { match: value };
    return this.#fail('match', 'texts in "name", "phys", "vendor" and "product"', {});
  }

  optionalError(): { error?: LinkError } {
    const value = this.#get('error');
    if (value === undefined) return {};
    const expected = 'an object with a known "code" and a "message"';
    if (!isObject(value)) return this.#fail('error', expected, {});
    const { code, message } = value;
    if (!isErrorCode(code) || typeof message !== 'string' || message.length > MAX_STRING) {
      return this.#fail('error', expected, {});
    }
    return { error: { code, message } };
  }

  /** What is none of `known`, as it stands. */
  extra(known: ReadonlySet<string>): { extra?: Record<string, unknown> } {
    const entries = Object.entries(this.#entry).filter(([field]) => !known.has(field));
    if (entries.length === 0) return {};
    for (const [field, value] of entries) {
      if (deeper(value, MAX_DEPTH)) this.#fail(field, `nesting of at most ${MAX_DEPTH}`, null);
    }
    return { extra: Object.fromEntries(entries) };
  }

  /** null is as good as absent: some runtimes write all their fields. */
  #get(field: string): unknown {
    return Object.hasOwn(this.#entry, field) ? (this.#entry[field] ?? undefined) : undefined;
  }

  #fail<T>(field: string, expected: string, placeholder: T): T {
    const found = show(this.#get(field));
    this.fault ??= `${pointerTo('', field)}: found ${found}, expected ${expected}.`;
    return placeholder;
  }
}

function isLease(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_LEASED) return false;
  return value.every((name) => isShort(name) && name !== '');
}

function isMatch(value: unknown): value is InputMatch {
  if (!isObject(value) || Object.keys(value).length === 0) return false;
  return Object.entries(value).every(([key, text]) => MATCHED.has(key) && isShort(text));
}

function isShort(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_SHORT && !IMPOSSIBLE.test(value);
}

function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(REMEDIES, value);
}

/** Nested more than `max` deep? Goes no deeper than that itself. */
function deeper(value: unknown, max: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return max === 0 || Object.values(value).some((inner) => deeper(inner, max - 1));
}
