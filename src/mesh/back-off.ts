/** Exponential back-off: 100 ms, doubling to 30 s. */
const FIRST_MS = 100;
const MOST_MS = 30_000;

export class BackOff {
  #nextMs = FIRST_MS;

  /** How long to wait before the next attempt, in milliseconds. */
  next(): number {
    const ms = this.#nextMs;
    this.#nextMs = Math.min(ms * 2, MOST_MS);
    return ms;
  }

  reset(): void {
    this.#nextMs = FIRST_MS;
  }
}
