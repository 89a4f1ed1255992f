/**
 * The beginning of a head whose rest is still on its way. Each byte is looked at once, however many pieces it
 * comes in: the head is read when its empty line is there, or when a line ends as none may.
 */
import { CR, LF } from './grammar.js';

const NOTHING = Buffer.alloc(0);

export class PartialHead {
  #bytes = NOTHING;
  #looked = 0;

  get length(): number {
    return this.#bytes.length;
  }

  /** Keeps a copy. `looked`: it was read, and found to be only a beginning. */
  keep(buffer: Buffer, from: number, to: number, looked: boolean): void {
    this.#bytes = Buffer.from(buffer.subarray(from, to));
    this.#looked = looked ? this.#bytes.length : 0;
  }

  /** Keeps more; true where all of it is worth reading now. `limit`: so is whatever is this long. */
  add(buffer: Buffer, from: number, to: number, limit: number): boolean {
    this.#bytes = Buffer.concat([this.#bytes, buffer.subarray(from, to)]);
    return this.#isWorthReading(limit);
  }

  /** All that is kept, the caller's. */
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
