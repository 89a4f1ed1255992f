/**
 * When what was lost is planted again: at once, but for whom it is lost again soon after (a container that deletes its
 * targets in a loop) or can't be had (somebody else is there), later and later.
 */
import { RestartBackOff } from '../kernel/back-off.js';

const MOST_MS = 5_000;
/** What stood for so long was not lost to a loop. */
const STEADY_MS = 60_000;

export class Replanting {
  readonly #backOff = new RestartBackOff(MOST_MS, STEADY_MS);
  /** Null: it is lost. */
  #plantedAt: number | null;

  /** Times are milliseconds of one clock. */
  constructor(now: number) {
    this.#plantedAt = now;
  }

  /** It stands again. */
  planted(now: number): void {
    this.#plantedAt = now;
  }

  /** It is lost, still or again: how long to wait before the next attempt, in milliseconds. */
  wait(now: number): number {
    const stoodMs = this.#plantedAt === null ? 0 : now - this.#plantedAt;
    this.#plantedAt = null;
    return this.#backOff.next(stoodMs);
  }
}
