/**
 * Collects bytes up to a bound. Its memory is at most twice what arrived, however small the pieces: a list of
 * them would cost a hundred times that for an answer that comes byte by byte.
 */
const FIRST_SIZE = 16 * 1024;

export class ByteSink {
  readonly #max: number;
  #buffer = Buffer.alloc(0);
  #used = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** False where it is too much; then it is not added. */
  add(chunk: Uint8Array): boolean {
    const needed = this.#used + chunk.length;
    if (needed > this.#max) return false;
    if (needed > this.#buffer.length) {
      const bigger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#buffer.length, FIRST_SIZE));
      this.#buffer.copy(bigger, 0, 0, this.#used);
      this.#buffer = bigger;
    }
    this.#buffer.set(chunk, this.#used);
    this.#used = needed;
    return true;
  }

  /** A view, good until the next `add`. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#used);
  }
}
