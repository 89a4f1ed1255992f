/** Counters of one link over all its attachments: they never decrease. */
import { sumOf } from '../kernel/durations.js';
import type { LinkStats } from './attacher.js';

interface Counted {
  stats(): LinkStats;
}

export const NO_STATS: LinkStats = {
  active: 0,
  total: 0,
  toProvider: 0,
  toConsumer: 0,
  closes: {},
  denied: {},
  audited: {},
};

export class StatsSum<T extends Counted> {
  readonly #live = new Set<T>();
  #settled = NO_STATS;

  /** Those that may still have connections. */
  get live(): ReadonlySet<T> {
    return this.#live;
  }

  add(counted: T): void {
    this.#live.add(counted);
  }

  /** The last connection has ended: the final counters are added, and it is not asked again. */
  settle(counted: T): void {
    if (!this.#live.delete(counted)) return;
    const { full: _, ...settled } = plus(this.#settled, counted.stats());
    this.#settled = { ...settled, active: 0 };
  }

  sum(): LinkStats {
    let sum = this.#settled;
    for (const counted of this.#live) sum = plus(sum, counted.stats());
    return sum;
  }
}

export function plus(a: LinkStats, b: LinkStats): LinkStats {
  const connectTimes = sumOf(a.connectTimes, b.connectTimes);
  const requestTimes = sumOf(a.requestTimes, b.requestTimes);
  const full = a.full ?? b.full;
  return {
    active: a.active + b.active,
    total: a.total + b.total,
    toProvider: a.toProvider + b.toProvider,
    toConsumer: a.toConsumer + b.toConsumer,
    closes: added(a.closes, b.closes),
    denied: added(a.denied, b.denied),
    audited: added(a.audited, b.audited),
    ...(connectTimes && { connectTimes }),
    ...(requestTimes && { requestTimes }),
    ...(full === undefined ? {} : { full }),
  };
}

type Counts = Readonly<Record<string, number>>;

function added(a: Counts | undefined, b: Counts | undefined): Counts {
  const sum = { ...a };
  for (const [key, count] of Object.entries(b ?? {})) sum[key] = (sum[key] ?? 0) + count;
  return sum;
}
