import { expect, test } from 'vitest';
import { pollUntil } from '../../../src/kernel/poll.js';

/** An attempt with these outcomes, one after the other; the last one for ever. */
function outcomes<T>(...all: T[]) {
  let attempts = 0;
  const attempt = async () => all[Math.min(attempts++, all.length - 1)] as T;
  return { attempt, attempts: () => attempts };
}

test('attempts until an outcome is final', async () => {
  const { attempt, attempts } = outcomes('busy', 'busy', 'done', 'busy');
  expect(await pollUntil((outcome) => outcome === 'done', attempt, { everyMs: 1 })).toBe('done');
  expect(attempts()).toBe(3);
});

test('what is final at once is attempted once, also past the deadline', async () => {
  const { attempt, attempts } = outcomes('done');
  const options = { everyMs: 1, deadline: Number.NEGATIVE_INFINITY };
  expect(await pollUntil((outcome) => outcome === 'done', attempt, options)).toBe('done');
  expect(attempts()).toBe(1);
});

test('at the deadline the last outcome is what there is', async () => {
  const { attempt, attempts } = outcomes('busy');
  const options = { everyMs: 1, deadline: performance.now() + 20 };
  expect(await pollUntil((outcome) => outcome === 'done', attempt, options)).toBe('busy');
  expect(attempts()).toBeGreaterThan(1);
  expect(performance.now()).toBeGreaterThanOrEqual(options.deadline);
});

test('an attempt that fails ends it', async () => {
  const attempt = () => Promise.reject(new Error('no'));
  await expect(pollUntil(() => true, attempt, { everyMs: 1 })).rejects.toThrow('no');
});
