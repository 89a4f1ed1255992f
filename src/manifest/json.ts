/**
 * Bytes to JSON, with a problem in place of every exception: too deep, not UTF-8, not JSON, a key twice.
 */

import { deeperThan, duplicateKeys, jsonFault } from './json-scan.js';
import { MAX_DEPTH } from './limits.js';
import type { ProblemList } from './problem-list.js';
import { printable } from './text.js';

/** Duplicate keys of one file that are named one by one. */
const MAX_DUPLICATES = 20;

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The type of what `known` leaves. */
type Known<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K];
} & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** An object without the keys that are undefined. */
export function known<T extends object>(fields: T): Known<T> {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Known<T>;
}

/** The value, or undefined where `problems` says why not. JSON has no undefined of its own. */
export function parseJson(bytes: Buffer, file: string, problems: ProblemList): unknown {
  const place = { file, pointer: '' };
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    problems.add('json-invalid', place, 'bytes that are not UTF-8', 'JSON in UTF-8');
    return undefined;
  }
  if (deeperThan(text, MAX_DEPTH)) {
    problems.add(
      'json-too-deep',
      place,
      `nesting deeper than ${MAX_DEPTH}`,
      `at most ${MAX_DEPTH}`,
    );
    return undefined;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    const [found, expected] = whatIsWrong(text, thrown);
    problems.add('json-invalid', place, found, expected);
    return undefined;
  }
  for (const pointer of duplicateKeys(text, MAX_DUPLICATES)) {
    problems.add('json-duplicate-key', { file, pointer }, 'the key twice', 'it once', 'notice');
  }
  return value;
}

function whatIsWrong(text: string, thrown: unknown): [found: string, expected: string] {
  if (text.trim() === '') return ['an empty file', 'JSON'];
  const fault = jsonFault(text);
  if (fault) return [fault.found, fault.expected];
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return [`text that is not JSON (${printable(message)})`, 'JSON'];
}
