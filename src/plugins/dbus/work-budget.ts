/**
 * How many messages of one link are handled in one turn of the event loop. The others wait for a later turn. So a flood
 * of messages delays other links by at most one budget, however many connections it comes by.
 */

/** Messages, or KiB of them where that is more: about a millisecond's work. */
const WORK = 64;
const KIB = 1024;

export class WorkBudget {
  #left = WORK;
  #waiting: (() => void)[] = [];
  #isRenewed = false;

  /** A message of that many bytes was handled. False: the next one has to `wait`. */
  spend(bytes: number): boolean {
    this.#left -= 1 + Math.floor(bytes / KIB);
    if (!this.#isRenewed) this.#renewSoon();
    return this.#left > 0;
  }

  /** Calls `goOn` in a later turn, in the order of these calls. */
  wait(goOn: () => void): void {
    this.#waiting.push(goOn);
  }

  #renewSoon(): void {
    this.#isRenewed = true;
    setImmediate(() => this.#renew());
  }

  #renew(): void {
    this.#isRenewed = false;
    this.#left = WORK;
    const waiting = this.#waiting;
    this.#waiting = [];
    let next = 0;
    while (next < waiting.length && this.#left > 0) waiting[next++]?.();
    this.#waiting.unshift(...waiting.slice(next));
    if (this.#waiting.length > 0 && !this.#isRenewed) this.#renewSoon();
  }
}
