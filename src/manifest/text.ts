/**
 * Text that came from outside: what may be a name, and how it is shown without trusting it.
 *
 * A name becomes part of a path, of a link's identity and of a log line, so slashes, control characters and
 * broken Unicode are refused once, here.
 */

import { escaped, printable } from '../kernel/printable.js';

export { escaped, printable };

/** Longest name: NAME_MAX of Linux file systems, as a container's name is a folder's. */
export const MAX_NAME = 255;

/** Control characters, lone surrogates, line and paragraph separators. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\u2028\u2029]/u;
/** NUL ends a C string early, and a lone surrogate has no UTF-8: neither can be in a path or a name. */
const IMPOSSIBLE = /[\0\p{Cs}]/u;

export function isPossible(text: string): boolean {
  return !IMPOSSIBLE.test(text);
}

export function isClean(text: string): boolean {
  return !UNPRINTABLE.test(text);
}

/** May it name a service, a container, a role or a rule? */
export function isName(text: string): boolean {
  if (text === '' || text === '.' || text === '..') return false;
  return text.length <= MAX_NAME && !text.includes('/') && isClean(text);
}

/** May it be a host's name (RFC 1123), of at most the 64 characters that Linux keeps? */
export function isHostname(text: string): boolean {
  return /^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$/.test(text);
}

/** A bus name as the D-Bus specification has it ("Valid Names"), without unique names. */
export function isBusName(text: string): boolean {
  return text.length <= MAX_NAME && /^[A-Za-z_-][\w-]*(\.[A-Za-z_-][\w-]*)+$/.test(text);
}

/** JSON text for a terminal: the same value, with those characters escaped; its own newlines stay. */
export function printableJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2);
  return text.split('\n').map(printable).join('\n');
}

/** Order of names everywhere: by UTF-16 code unit, the same on every machine and in every locale. */
export function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
