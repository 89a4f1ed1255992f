import { expect, test } from 'vitest';
import { Semaphore } from '../../../src/kernel/semaphore.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('no more than its size run at once; the others begin in the order in which they came', async () => {
  const semaphore = new Semaphore(2);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const all = Array.from({ length: 5 }, (_, number) =>
    semaphore.run(async () => {
      begun.push(number);
      await new Promise<void>((resolve) => ends.push(resolve));
      return number;
    }),
  );
  expect(begun).toEqual([0, 1]); // at once
  expect([semaphore.taken, semaphore.waiting]).toEqual([2, 3]);
  for (let ended = 0; ended < 5; ended++) {
    ends[ended]?.();
    await turn();
    expect(begun.length).toBe(Math.min(5, ended + 3));
  }
  expect(begun).toEqual([0, 1, 2, 3, 4]);
  expect(await Promise.all(all)).toEqual([0, 1, 2, 3, 4]);
  expect([semaphore.taken, semaphore.waiting]).toEqual([0, 0]);
});

test('work that fails gives its place to the next, also where it fails at once', async () => {
  const semaphore = new Semaphore(1);
  const failing = semaphore.run(() => Promise.reject(new Error('no')));
  const throwing = semaphore.run(() => {
    throw new Error('at once');
  });
  const last = semaphore.run(async () => 'ran');
  await expect(failing).rejects.toThrow('no');
  await expect(throwing).rejects.toThrow('at once');
  expect(await last).toBe('ran');
});

test('who comes while a place changes hands takes it from nobody', async () => {
  const semaphore = new Semaphore(1);
  let atOnce = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, ++atOnce);
    await null;
    atOnce--;
  };
  const first = semaphore.run(work).then(() => semaphore.run(work));
  await Promise.all([first, semaphore.run(work), semaphore.run(work)]);
  expect(most).toBe(1);
});
