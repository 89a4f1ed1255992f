/**
 * The next attempt at something that failed: at most one is pending, and each waits longer than the one before it
 * (back-off.ts). A pending attempt does not keep the process running.
 */
import { BackOff } from './back-off.js';

export class Retry {
  readonly #backOff: BackOff;
  #timer: NodeJS.Timeout | null = null;

  /** `backOff`: how long to wait; used by this retry only. */
  constructor(backOff = new BackOff()) {
    this.#backOff = backOff;
  }

  /** Whether an attempt is pending. */
  get isPending(): boolean {
    return this.#timer !== null;
  }

  /** Calls `attempt` later, in place of a pending one. Returns after how many milliseconds. */
  schedule(attempt: () => void): number {
    this.cancel();
    const ms = this.#backOff.next();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      attempt();
    }, ms).unref();
    return ms;
  }

  /** Drops the pending attempt. The next wait is as long as if it had been made. */
  cancel(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** After a success, or for another task: drops the pending attempt, and the next wait is the first one again. */
  reset(): void {
    this.cancel();
    this.#backOff.reset();
  }
}
