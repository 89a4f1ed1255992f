/**
 * The next attempt at what failed. There is at most one, and the more there were, the later it comes (back-off.ts). That
 * it is to come keeps no process running.
 */
import { BackOff } from './back-off.js';

export class Retry {
  readonly #backOff: BackOff;
  #timer: NodeJS.Timeout | null = null;

  /** `backOff`: how long to wait. It is this retry's alone. */
  constructor(backOff = new BackOff()) {
    this.#backOff = backOff;
  }

  /** An attempt is to come. */
  get isPending(): boolean {
    return this.#timer !== null;
  }

  /** Attempts that later, in place of what is pending. Returns for how many milliseconds is waited. */
  schedule(attempt: () => void): number {
    this.cancel();
    const ms = this.#backOff.next();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      attempt();
    }, ms).unref();
    return ms;
  }

  /** No attempt is to come. The next one is as far away as it was. */
  cancel(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** It worked, or it is something else that is attempted: no attempt is to come, and the next wait is the first again. */
  reset(): void {
    this.cancel();
    this.#backOff.reset();
  }
}
