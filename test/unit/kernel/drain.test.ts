import { expect, test, vi } from 'vitest';
import { DrainBarrier, drainThenClose } from '../../../src/kernel/drain.js';

test('all who wait hear of it when the last is closed, and who comes later at once', async () => {
  const open = new Set([1, 2]);
  const barrier = new DrainBarrier(() => open.size === 0);
  let told = 0;
  const waiting = [1, 2].map(() => barrier.drained().then(() => told++));
  open.delete(1);
  barrier.check();
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toBe(0);
  open.delete(2);
  barrier.check();
  await Promise.all(waiting);
  expect(told).toBe(2);
  await barrier.drained();
});

test('what has left in time is not closed', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const close = vi.fn();
    await drainThenClose(1_000, async () => undefined, close);
    vi.advanceTimersByTime(10_000);
    expect(close).not.toHaveBeenCalled();
  } finally {
    vi.useRealTimers();
  }
});

test('what has not left when its time is over is closed, and waited for', async () => {
  let left: () => void = () => undefined;
  const leave = () =>
    new Promise<void>((resolve) => {
      left = resolve;
    });
  const close = vi.fn(() => left());
  await drainThenClose(1, leave, close);
  expect(close).toHaveBeenCalledTimes(1);
});

test('a leave that fails is told, and closes nothing later', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const close = vi.fn();
    const leaving = drainThenClose(1_000, () => Promise.reject(new Error('no')), close);
    await expect(leaving).rejects.toThrow('no');
    vi.advanceTimersByTime(10_000);
    expect(close).not.toHaveBeenCalled();
  } finally {
    vi.useRealTimers();
  }
});
