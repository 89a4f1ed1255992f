/**
 * What is looked at of the messages of one link in one turn of the event loop. The rest waits until everybody else had
 * a turn, so a flood of messages costs a neighbour one share, however many connections it comes by.
 */

/** Messages, or KiB of them where that is more: a millisecond's work at most. */
const WORK = 64;
const KIB = 1024;

export class Share {
  #left = WORK;
  #waiting: (() => void)[] = [];
  #isRenewed = false;

  /** A message of that many bytes was looked at; false: the next one has to wait. */
  spend(bytes: number): boolean {
    this.#left -= 1 + Math.floor(bytes / KIB);
    if (!this.#isRenewed) this.#renewSoon();
    return this.#left > 0;
  }

  /** In a later turn, in the order in which it was asked. */
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
