import { expect, test } from 'vitest';
import { BOUNDS_MS, DurationCount, NO_DURATIONS, sumOf } from '../../../src/kernel/durations.js';

test('a duration is counted by the first bound that it does not exceed', () => {
  const count = new DurationCount();
  for (const bound of BOUNDS_MS) count.add(bound);
  expect(count.counts).toEqual([...BOUNDS_MS.map(() => 1), 0]);
  count.add(0);
  count.add(5_000.1);
  count.add(Number.POSITIVE_INFINITY);
  expect([count.counts[0], count.counts.at(-1)]).toEqual([2, 2]);
  expect(NO_DURATIONS.counts.every((one) => one === 0)).toBe(true);
});

test('counts add up, and where there are none there is no sum', () => {
  const [a, b] = [new DurationCount(), new DurationCount()];
  a.add(1);
  b.add(1);
  b.add(300);
  expect(sumOf(a, b)).toEqual({ counts: [0, 0, 2, 0, 0, 0, 1, 0, 0], milliseconds: 302 });
  expect([sumOf(a, undefined), sumOf(undefined, undefined)]).toEqual([a, undefined]);
});
