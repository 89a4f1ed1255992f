import { expect, test } from 'vitest';
import { Emptiness } from '../../../src/kernel/emptiness.js';

test('all who wait hear of it when the last is gone, and who comes later at once', async () => {
  const all = new Set([1, 2]);
  const emptiness = new Emptiness(() => all.size === 0);
  let reached = 0;
  const waiting = [1, 2].map(() => emptiness.reached().then(() => reached++));
  all.delete(1);
  emptiness.check();
  await new Promise((resolve) => setImmediate(resolve));
  expect(reached).toBe(0);
  all.delete(2);
  emptiness.check();
  await Promise.all(waiting);
  expect(reached).toBe(2);
  await emptiness.reached();
});
