/**
 * D-Bus: the lines of the authentication, and then messages. A tap may begin in the middle of either, and so may what a
 * connection says once the relay has it: the next message is looked for then, by a header that has nothing wrong.
 */
import { FIXED_LENGTH, type Frame, readFrame, readHeader } from '../plugins/dbus/header.js';
import { Keeping, type Piece, SNAP } from './decoder.js';

/** Bytes of the longest line, as the specification has it ("Authentication Protocol"). */
const MAX_LINE = 16 * 1024;
/** A client begins with a byte of 0. */
const LINE = /^\0?[A-Z_]+( [ -~]*)?$/;
const [LITTLE, BIG, LF] = [0x6c, 0x42, 0x0a];
const VERSION_AT = 3;

export class DbusDecoder extends Keeping {
  /** Bytes still to come of a message that is not kept whole. */
  #left = 0;

  protected step(all: Buffer, at: number, pieces: Piece[]): number | null {
    if (this.#left > 0) {
      const skipped = Math.min(this.#left, all.length - at);
      this.#left -= skipped;
      return at + skipped;
    }
    if (mayBeMessage(all, at)) return this.#message(all, at, pieces);
    return this.#line(all, at, pieces);
  }

  protected forget(): void {
    this.#left = 0;
  }

  #message(all: Buffer, at: number, pieces: Piece[]): number | null {
    const available = all.length - at;
    if (available < FIXED_LENGTH) return null;
    const frame = frameAt(all, at);
    if (!frame) return unknown(all, at, pieces);
    if (available < frame.header) return null;
    const header = readHeader(all, at, frame);
    if (typeof header === 'string') return unknown(all, at, pieces);
    const kept = Math.min(frame.total, SNAP);
    if (available < kept) return null;
    const bytes = all.subarray(at, at + kept);
    pieces.push({ kind: 'message', header, length: frame.total, bytes });
    this.#left = frame.total - kept;
    return at + kept;
  }

  #line(all: Buffer, at: number, pieces: Piece[]): number | null {
    const end = all.indexOf(LF, at);
    const bytes = all.subarray(at, end < 0 ? all.length : end + 1);
    const text = bytes.toString('latin1').replace(/\r?\n?$/, '');
    if (bytes.length > MAX_LINE || !LINE.test(text)) return unknown(all, at, pieces);
    if (end < 0) return null;
    pieces.push({ kind: 'lines', lines: [text.replace('\0', '')], bytes });
    return at + bytes.length;
  }
}

function mayBeMessage(all: Buffer, at: number): boolean {
  if (all[at] !== LITTLE && all[at] !== BIG) return false;
  return all.length - at <= VERSION_AT || all[at + VERSION_AT] === 1;
}

function frameAt(all: Buffer, at: number): Frame | null {
  if (!mayBeMessage(all, at) || all.length - at < FIXED_LENGTH) return null;
  const frame = readFrame(all, at);
  return typeof frame === 'string' || frame.header > SNAP ? null : frame;
}

/** Up to the next message whose header is there. */
function unknown(all: Buffer, at: number, pieces: Piece[]): number {
  let next = at + 1;
  while (next < all.length && !hasHeader(all, next)) next++;
  pieces.push({ kind: 'bytes', bytes: all.subarray(at, next) });
  return next;
}

function hasHeader(all: Buffer, at: number): boolean {
  const frame = frameAt(all, at);
  if (!frame || all.length - at < frame.header) return false;
  return typeof readHeader(all, at, frame) !== 'string';
}
