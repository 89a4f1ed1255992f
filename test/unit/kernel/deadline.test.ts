import { expect, test, vi } from 'vitest';
import { withDeadline } from '../../../src/kernel/deadline.js';
import { pause } from '../../support/wait.js';

test('work in time is what it is, also where it fails, and no timer is left of it', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    expect(await withDeadline(Promise.resolve(1), 1_000, 'late')).toBe(1);
    await expect(withDeadline(Promise.reject(new Error('no')), 1_000, 'late')).rejects.toThrow(
      'no',
    );
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test('work that is late is not waited for, and may fail then', async () => {
  let fail: (error: Error) => void = () => undefined;
  const work = new Promise<number>((_resolve, reject) => {
    fail = reject;
  });
  expect(await withDeadline(work, 1, 'late')).toBe('late');
  fail(new Error('nobody listens'));
  await new Promise((resolve) => setImmediate(resolve)); // an unhandled rejection would fail this file
});

test('a deadline that is further away than a timer can be is not over at once', async () => {
  const work = pause(20).then(() => 'done'); // longer than the wait of 1 ms that a timer would have
  expect(await withDeadline(work, 2 ** 31, 'late')).toBe('done');
});
