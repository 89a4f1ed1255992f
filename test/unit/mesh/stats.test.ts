/** The counters of a link over all that it was attached as. */
import { expect, test } from 'vitest';
import { NO_STATS, StatsSum } from '../../../src/mesh/stats.js';

test('what has ended leaves its totals, and neither a connection nor a full link', () => {
  const sum = new StatsSum();
  const ended = { stats: () => ({ ...NO_STATS, active: 4, total: 9, full: 4 }) };
  sum.add(ended);
  expect(sum.sum()).toMatchObject({ active: 4, total: 9, full: 4 });
  sum.settle(ended);
  expect(sum.sum()).toMatchObject({ active: 0, total: 9 });
  expect(sum.sum().full).toBeUndefined();
  sum.add({ stats: () => ({ ...NO_STATS, active: 1, total: 1 }) });
  expect(sum.sum()).toMatchObject({ active: 1, total: 10 });
  expect(sum.sum().full).toBeUndefined();
});
