/**
 * How long to wait before something that ended is started again: at once the first time, then 100 ms, doubling.
 * What stayed long enough starts over at once.
 */
const FIRST_MS = 100;
const SETTLED_MS = 10_000;

export class BackOff {
  readonly #maxMs: number;
  #quick = 0;

  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  /** Milliseconds to wait, given for how many it ran. */
  next(ranMs: number): number {
    if (ranMs >= SETTLED_MS) this.#quick = 0;
    const wait = this.#quick === 0 ? 0 : FIRST_MS * 2 ** (this.#quick - 1);
    this.#quick = Math.min(this.#quick + 1, 32);
    return Math.min(wait, this.#maxMs);
  }

  reset(): void {
    this.#quick = 0;
  }
}
