/**
 * Requests that come many at once begin a few a turn of the event loop, one of each connection in its turn: whoever asks
 * for a hundred things keeps nobody waiting for more than his own.
 */

/** Of all connections. More would be no faster: a turn with nothing else to do is short. */
const MOST = 2;

export class FairQueue {
  /** By connection; who has waited longest is first. */
  readonly #waiting = new Map<object, (() => void)[]>();
  #left = MOST;
  #scheduled = false;

  /** Calls `begin` at once where nobody waits, or when it is its turn. */
  take(connection: object, begin: () => void): void {
    this.#schedule();
    if (this.#waiting.size === 0 && this.#left > 0) {
      this.#left--;
      begin();
      return;
    }
    const begins = this.#waiting.get(connection);
    if (begins) begins.push(begin);
    else this.#waiting.set(connection, [begin]);
  }

  /** What of the connection waits begins no more. */
  forget(connection: object): void {
    this.#waiting.delete(connection);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    this.#left = MOST;
    for (const [connection, begins] of this.#waiting) {
      if (this.#left === 0) break;
      this.#left--;
      this.#waiting.delete(connection);
      const begin = begins.shift();
      if (begins.length > 0) this.#waiting.set(connection, begins); // behind the others
      begin?.();
    }
    if (this.#waiting.size > 0) this.#schedule();
  }
}
