/**
 * The names of header fields that mean something to a proxy, each with a small number; every other one is OTHER, and
 * such a field is passed on.
 *
 * Names are compared as NAME of grammar.ts reads them. One that equals a known name only in that reading
 * (`Content_Length`) is DISGUISED: no honest client sends it, and it is not passed on.
 */
import { isText, NAME } from './grammar.js';

export const OTHER = 0;
export const HOST = 1;
export const CONTENT_LENGTH = 2;
export const TRANSFER_ENCODING = 3;
export const CONNECTION = 4;
/** Fields for the next hop alone that are not used here. */
export const HOP = 5;
export const KEEP_ALIVE = 6;
export const UPGRADE = 7;
export const TE = 8;
export const EXPECT = 9;
/** X-PV-*: who the client is. Only we say that. */
export const IDENTITY = 10;
/** The way that a request came. At an ingress only we say that. */
export const FORWARDED = 11;
/** Fields that ask for another method or path than the request line. */
export const OVERRIDE = 12;
export const ACCEPT = 13;
export const DISGUISED = 14;
/** Named by Connection, or a repetition: never passed on. */
export const DROPPED = 15;
export const DATE = 16;
export const MAX_FORWARDS = 17;
export const VIA = 18;
export const IDS = 19;

/** Our name in Via (RFC 9110, 7.6.3). */
export const PSEUDONYM = 'pv-xconnect';

const KNOWN: readonly (readonly [string, number])[] = [
  ['host', HOST],
  ['content-length', CONTENT_LENGTH],
  ['transfer-encoding', TRANSFER_ENCODING],
  ['connection', CONNECTION],
  ['keep-alive', KEEP_ALIVE],
  ['proxy-connection', HOP],
  ['http2-settings', HOP],
  ['upgrade', UPGRADE],
  ['te', TE],
  ['expect', EXPECT],
  ['forwarded', FORWARDED],
  ['x-real-ip', FORWARDED],
  ['x-http-method', OVERRIDE],
  ['x-http-method-override', OVERRIDE],
  ['x-method-override', OVERRIDE],
  ['x-original-url', OVERRIDE],
  ['x-rewrite-url', OVERRIDE],
  ['accept', ACCEPT],
  ['date', DATE],
  ['max-forwards', MAX_FORWARDS],
  ['via', VIA],
];
const IDENTITY_PREFIX = 'x-pv-';
const FORWARDED_PREFIX = 'x-forwarded-';
const LETTER_X = 120;

/** A hash table without collisions: there are so many slots that each known name has one of its own. */
const SLOTS = 1024;
const slots = new Int16Array(SLOTS).fill(-1);
for (const [index, [name]] of KNOWN.entries()) {
  let hash = 0;
  for (const char of name) hash = step(hash, NAME[char.charCodeAt(0)] as number);
  const slot = hash & (SLOTS - 1);
  if (slots[slot] !== -1) throw new Error(`${name} collides: change SLOTS`);
  slots[slot] = index;
}

/** The hash of a name with one more byte, as NAME has it. */
export function step(hash: number, byte: number): number {
  return (Math.imul(hash, 31) + byte) | 0;
}

/** The number of the name from `from` to `to`. `hash`: of all its bytes, by `step`. */
export function identify(buffer: Buffer, from: number, to: number, hash: number): number {
  if (NAME[buffer[from] as number] === LETTER_X) {
    if (begins(buffer, from, to, IDENTITY_PREFIX)) return IDENTITY;
    if (begins(buffer, from, to, FORWARDED_PREFIX)) return FORWARDED;
  }
  const index = slots[hash & (SLOTS - 1)] as number;
  if (index < 0) return OTHER;
  const [name, id] = KNOWN[index] as readonly [string, number];
  if (name.length !== to - from || !begins(buffer, from, to, name)) return OTHER;
  return isText(buffer, from, to, name) ? id : DISGUISED;
}

/** Whether the name begins with `text`, in the reading of NAME. */
function begins(buffer: Buffer, from: number, to: number, text: string): boolean {
  if (to - from < text.length) return false;
  for (let i = 0; i < text.length; i++) {
    if (NAME[buffer[from + i] as number] !== text.charCodeAt(i)) return false;
  }
  return true;
}
