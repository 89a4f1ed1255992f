import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BackOff } from '../../../src/kernel/back-off.js';
import { Retry } from '../../../src/kernel/retry.js';

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => vi.useRealTimers());

test('each attempt comes later than the one before, and the first wait is back once it worked', () => {
  const retry = new Retry(new BackOff(300, 100));
  const attempt = vi.fn();
  for (const ms of [100, 200, 300, 300]) {
    expect(retry.schedule(attempt)).toBe(ms);
    vi.advanceTimersByTime(ms - 1);
    expect([attempt.mock.calls.length, retry.isPending]).toEqual([0, true]);
    vi.advanceTimersByTime(1);
    expect([attempt.mock.calls.length, retry.isPending]).toEqual([1, false]);
    attempt.mockClear();
  }
  retry.reset();
  expect(retry.schedule(attempt)).toBe(100);
});

test('there is one attempt at most, the one that was asked for last', () => {
  const retry = new Retry();
  const [first, second] = [vi.fn(), vi.fn()];
  retry.schedule(first);
  retry.schedule(second);
  vi.advanceTimersByTime(10_000);
  expect([first.mock.calls.length, second.mock.calls.length]).toEqual([0, 1]);
});

test('what is cancelled does not come, and the next one is as far away as it was', () => {
  const retry = new Retry();
  const attempt = vi.fn();
  retry.schedule(attempt);
  retry.cancel();
  expect(retry.isPending).toBe(false);
  vi.advanceTimersByTime(10_000);
  expect(attempt).not.toHaveBeenCalled();
  expect(retry.schedule(attempt)).toBe(200);
});

test('an attempt may schedule the next one', () => {
  const retry = new Retry();
  let attempts = 0;
  const attempt = () => {
    if (++attempts < 3) retry.schedule(attempt);
  };
  retry.schedule(attempt);
  vi.advanceTimersByTime(100 + 200 + 400);
  expect([attempts, retry.isPending]).toEqual([3, false]);
});
