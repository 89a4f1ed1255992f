/** How long to wait before what failed, or ended, is tried again. Milliseconds throughout. Pure. */

export const FIRST_MS = 100;
export const MOST_MS = 30_000;
/** What ran for this long did not fail at its start: its next restart is immediate again. */
export const SETTLED_MS = 10_000;

/** 100 ms, or another first wait, doubling to 30 s or another bound. */
export class BackOff {
  readonly #mostMs: number;
  readonly #firstMs: number;
  #nextMs: number;

  constructor(mostMs = MOST_MS, firstMs = FIRST_MS) {
    this.#mostMs = mostMs;
    this.#firstMs = this.#nextMs = firstMs;
  }

  /** How long to wait before the next attempt. */
  next(): number {
    const ms = this.#nextMs;
    this.#nextMs = Math.min(ms * 2, this.#mostMs);
    return ms;
  }

  /** It worked: the next wait is the first one again. */
  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}

/**
 * For programs that are restarted whenever they end: the first restart is immediate, the next ones wait as above. After
 * a run of `settledMs`, restarts begin with the immediate one again.
 */
export class RestartBackOff {
  readonly #backOff: BackOff;
  readonly #settledMs: number;
  #isFirst = true;

  constructor(mostMs: number, settledMs = SETTLED_MS) {
    this.#backOff = new BackOff(mostMs);
    this.#settledMs = settledMs;
  }

  /** How long to wait, after a run of `lastedMs`. */
  next(lastedMs: number): number {
    if (lastedMs >= this.#settledMs) this.reset();
    if (!this.#isFirst) return this.#backOff.next();
    this.#isFirst = false;
    return 0;
  }

  reset(): void {
    this.#isFirst = true;
    this.#backOff.reset();
  }
}
