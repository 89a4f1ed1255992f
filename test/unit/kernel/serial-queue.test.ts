import { expect, test } from 'vitest';
import { SerialQueue } from '../../../src/kernel/serial-queue.js';

test('nothing begins before what came first is done, whether that succeeds or fails', async () => {
  const queue = new SerialQueue();
  const seen: string[] = [];
  let finish: () => void = () => undefined;
  const first = queue.run(async () => {
    seen.push('first begins');
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    throw new Error('first');
  });
  const second = queue.run(async () => seen.push('second begins'));
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toEqual(['first begins']);
  finish();
  await expect(first).rejects.toThrow('first');
  expect(await second).toBe(2);
  expect(seen).toEqual(['first begins', 'second begins']);
});
