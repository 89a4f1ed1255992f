/**
 * Deadlines that move with every request. Moving one costs an assignment: a single timer, set for the earliest deadline
 * that was known, looks at all of them when it fires. The clock is monotonic.
 */

export interface Timed {
  /** Milliseconds as performance.now() counts; Infinity: none. */
  deadline: number;
  /** The deadline has passed, and is Infinity now. A new one may be set. */
  expired(): void;
}

/** How late a deadline may be noticed, so that those that are close to each other share one look. */
const GRAIN_MS = 50;

export class Deadlines {
  readonly #all = new Set<Timed>();
  #timer: NodeJS.Timeout | null = null;
  #at = Number.POSITIVE_INFINITY;

  add(timed: Timed): void {
    this.#all.add(timed);
    this.#wake(timed.deadline);
  }

  remove(timed: Timed): void {
    this.#all.delete(timed); // the timer may fire for nothing, which is cheaper than moving it
  }

  /** `ms` from now on. */
  within(timed: Timed, ms: number): void {
    this.set(timed, performance.now() + ms);
  }

  set(timed: Timed, deadline: number): void {
    timed.deadline = deadline;
    if (deadline < this.#at) this.#wake(deadline);
  }

  #wake(at: number): void {
    if (at >= this.#at || at === Number.POSITIVE_INFINITY) return;
    this.#at = at;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), Math.max(0, at - performance.now()) + GRAIN_MS);
    this.#timer.unref();
  }

  #look(): void {
    const now = performance.now();
    this.#timer = null;
    this.#at = Number.POSITIVE_INFINITY;
    let next = Number.POSITIVE_INFINITY;
    for (const timed of [...this.#all]) {
      if (timed.deadline <= now) {
        timed.deadline = Number.POSITIVE_INFINITY;
        timed.expired();
      }
      if (this.#all.has(timed) && timed.deadline < next) next = timed.deadline;
    }
    this.#wake(next);
  }
}

/** Shared for speed: one timer for all deadlines of the process. */
export const deadlines = new Deadlines();
