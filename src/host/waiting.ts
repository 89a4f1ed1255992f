/** Connections that wait for their provider to run. One that has waited for too long is none any more. */

export class Waiting {
  readonly #patienceMs: number;
  readonly #until = new Map<number, number>();

  /** `patienceMs`: as long as one waits, in milliseconds. */
  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  add(connection: number): void {
    this.#forget();
    this.#until.set(connection, performance.now() + this.#patienceMs);
  }

  /** All that still wait; they are the caller's to answer, and none of ours any more. */
  take(): number[] {
    this.#forget();
    const all = [...this.#until.keys()];
    this.#until.clear();
    return all;
  }

  /** They are in the order that they came in. */
  #forget(): void {
    const now = performance.now();
    for (const [connection, until] of this.#until) {
      if (until > now) return;
      this.#until.delete(connection);
    }
  }
}
