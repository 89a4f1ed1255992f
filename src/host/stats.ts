/** Counters of several listeners of one link, as one. */
import type { LinkStats } from '../mesh/attacher.js';

export function sumStats(all: readonly LinkStats[]): LinkStats {
  const closes: Record<string, number> = {};
  const sum = { active: 0, total: 0, toProvider: 0, toConsumer: 0, closes };
  for (const stats of all) {
    sum.active += stats.active;
    sum.total += stats.total;
    sum.toProvider += stats.toProvider;
    sum.toConsumer += stats.toConsumer;
    for (const [reason, count] of Object.entries(stats.closes)) {
      closes[reason] = (closes[reason] ?? 0) + count;
    }
  }
  return sum;
}
