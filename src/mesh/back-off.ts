/** Exponential back-off: 100 ms, doubling to 30 s or another bound. */
const FIRST_MS = 100;
const MOST_MS = 30_000;

export class BackOff {
  readonly #mostMs: number;
  #nextMs = FIRST_MS;

  constructor(mostMs = MOST_MS) {
    this.#mostMs = mostMs;
  }

  /** How long to wait before the next attempt, in milliseconds. */
  next(): number {
    const ms = this.#nextMs;
    this.#nextMs = Math.min(ms * 2, this.#mostMs);
    return ms;
  }

  reset(): void {
    this.#nextMs = FIRST_MS;
  }
}
