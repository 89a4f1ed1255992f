/** How long to wait before what failed, or ended, is tried again. Milliseconds throughout. Pure. */

const FIRST_MS = 100;
const MOST_MS = 30_000;
/** What stayed for so long did not end at once. */
const SETTLED_MS = 10_000;

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

/** Of what lasts for a while and ends: at once the first time, then as above. What lasted starts over at once. */
export class RestartBackOff {
  readonly #backOff: BackOff;
  readonly #settledMs: number;
  #isFirst = true;

  constructor(mostMs: number, settledMs = SETTLED_MS) {
    this.#backOff = new BackOff(mostMs);
    this.#settledMs = settledMs;
  }

  /** How long to wait, given for how long it lasted. */
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
