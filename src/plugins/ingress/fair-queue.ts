/**
 * Requests that come at the same time begin a few in each turn of the event loop, the connections taking turns (round
 * robin): a client that sends a hundred requests at once delays its own, and no other client's.
 */

/** Requests of all connections that begin in one turn. More would be no faster: a turn without other work is short. */
const PER_TURN = 2;

export class FairQueue {
  /** By connection, in the order of their turns. */
  readonly #waiting = new Map<object, (() => void)[]>();
  #left = PER_TURN;
  #scheduled = false;

  /** Calls `begin`: at once if none waits and this turn has room, else in a later turn. */
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

  /** Requests of the connection that wait are dropped. */
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
    this.#left = PER_TURN;
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
