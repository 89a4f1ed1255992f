import { expect, test } from 'vitest';
import { BackOff, RestartBackOff } from '../../../src/kernel/back-off.js';

test('the first end is met at once, the next ones ever more slowly up to the limit', () => {
  const backOff = new RestartBackOff(5_000);
  const waits = Array.from({ length: 9 }, () => backOff.next(50));
  expect(waits).toEqual([0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
});

test('what ran for long starts over at once', () => {
  const backOff = new RestartBackOff(5_000);
  for (let i = 0; i < 5; i++) backOff.next(50);
  expect(backOff.next(10_000)).toBe(0);
  expect(backOff.next(50)).toBe(100);
});

test('a thousand ends make no endless wait', () => {
  const backOff = new RestartBackOff(30_000);
  for (let i = 0; i < 1_000; i++) backOff.next(0);
  expect(backOff.next(0)).toBe(30_000);
});

test('what fails is tried again after 100 ms, or another first wait, doubling to a bound', () => {
  const waits = (backOff: BackOff) => Array.from({ length: 5 }, () => backOff.next());
  expect(waits(new BackOff())).toEqual([100, 200, 400, 800, 1_600]);
  const slow = new BackOff(5_000, 1_000);
  expect(waits(slow)).toEqual([1_000, 2_000, 4_000, 5_000, 5_000]);
  slow.reset();
  expect(slow.next()).toBe(1_000);
});
