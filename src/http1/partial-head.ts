/**
 * The beginning of a head whose end has not come yet. However small the pieces are, each byte is searched once for the
 * end: the head is worth reading when its empty line is there, or when a line ends in a way that none may.
 */
import { CR, LF } from './grammar.js';

const NOTHING = Buffer.alloc(0);

export class PartialHead {
  #bytes = NOTHING;
  #looked = 0;

  get length(): number {
    return this.#bytes.length;
  }

  /** Keeps a copy of the bytes. `looked`: they were read already, and have no end. */
  keep(buffer: Buffer, from: number, to: number, looked: boolean): void {
    this.#bytes = Buffer.from(buffer.subarray(from, to));
    this.#looked = looked ? this.#bytes.length : 0;
  }

  /** Keeps more. True where all that is kept is worth reading: it has an end, or is at least `limit` bytes long. */
  add(buffer: Buffer, from: number, to: number, limit: number): boolean {
    this.#bytes = Buffer.concat([this.#bytes, buffer.subarray(from, to)]);
    return this.#isWorthReading(limit);
  }

  /** Gives all that was kept away. */
  take(): Buffer {
    const bytes = this.#bytes;
    this.#bytes = NOTHING;
    this.#looked = 0;
    return bytes;
  }

  #isWorthReading(limit: number): boolean {
    const bytes = this.#bytes;
    for (let at = this.#looked; at < bytes.length; at++) {
      if (bytes[at] !== LF) continue;
      if (bytes[at - 1] !== CR || at < 2 || bytes[at - 2] === LF) return true;
    }
    this.#looked = bytes.length;
    return bytes.length >= limit;
  }
}
