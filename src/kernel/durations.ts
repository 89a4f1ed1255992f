/**
 * How long things took, counted by bounds, as a histogram of OpenMetrics has it: next to no memory, whatever comes.
 */

/** Milliseconds; PVX_TIMES_BOUNDS of native/relay-protocol.h are the same. */
export const BOUNDS_MS = [0.1, 0.5, 2.5, 10, 50, 250, 1_000, 5_000] as const;

export interface Durations {
  /** Of those that took so long at most, and longer than the bound before; behind the last bound the rest. */
  readonly counts: readonly number[];
  readonly milliseconds: number;
}

export const NO_DURATIONS: Durations = {
  counts: Array.from({ length: BOUNDS_MS.length + 1 }, () => 0),
  milliseconds: 0,
};

export class DurationCount implements Durations {
  readonly counts = [...NO_DURATIONS.counts];
  milliseconds = 0;

  add(milliseconds: number): void {
    const place = BOUNDS_MS.findIndex((bound) => milliseconds <= bound);
    const index = place < 0 ? BOUNDS_MS.length : place;
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.milliseconds += milliseconds;
  }
}

/** Undefined: none was counted in either. */
export function sumOf(a: Durations | undefined, b: Durations | undefined): Durations | undefined {
  if (!a || !b) return a ?? b;
  return {
    counts: a.counts.map((count, i) => count + (b.counts[i] ?? 0)),
    milliseconds: a.milliseconds + b.milliseconds,
  };
}
