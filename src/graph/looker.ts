/**
 * Something that is looked at when it may have changed, and from time to time anyway. One look at a time;
 * those asked for while one is under way become one more.
 */

/** Long enough for the writes of one change to come together, short enough that nobody waits for it. */
const SETTLE_MS = 20;
const POLL_MS = 1000;
/** Looking unasked may take one part in so many of the time, however long a look takes. */
const POLL_SHARE = 50;

export class Looker {
  readonly #look: () => Promise<void>;
  readonly #pollMs: number;
  #running = false;
  #again = false;
  #stopped = false;
  #settle: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;

  /** `look` never rejects. `pollMs`: the least time between two looks that nobody asked for. */
  constructor(look: () => Promise<void>, pollMs = POLL_MS) {
    this.#look = look;
    this.#pollMs = pollMs;
  }

  /** At once, and from then on. */
  start(): void {
    void this.#run();
  }

  /** The first of several calls sets the moment, so that steady change can't put it off for ever. */
  soon(): void {
    if (this.#stopped || this.#settle) return;
    this.#settle = setTimeout(() => {
      this.#settle = undefined;
      void this.#run();
    }, SETTLE_MS);
  }

  /** No look begins any more; one that is under way ends by itself. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#settle);
    clearTimeout(this.#poll);
  }

  async #run(): Promise<void> {
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    clearTimeout(this.#poll);
    let took = 0;
    do {
      this.#again = false;
      const started = performance.now();
      await this.#look();
      took = performance.now() - started;
    } while (this.#again && !this.#stopped);
    this.#running = false;
    if (this.#stopped) return;
    this.#poll = setTimeout(() => void this.#run(), Math.max(this.#pollMs, POLL_SHARE * took));
  }
}
