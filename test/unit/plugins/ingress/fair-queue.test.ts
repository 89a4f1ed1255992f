import { expect, test } from 'vitest';
import { FairQueue } from '../../../../src/plugins/ingress/fair-queue.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('few begin at once; the others wait, and who asks for one waits for none of a hundred', async () => {
  const begins = new FairQueue();
  const begun: string[] = [];
  const [hog, neighbour] = [{}, {}];
  for (let i = 0; i < 100; i++) begins.take(hog, () => begun.push('hog'));
  expect(begun).toHaveLength(2);
  begins.take(neighbour, () => begun.push('neighbour'));
  await turn();
  expect(begun).toHaveLength(4);
  expect(begun).toContain('neighbour');
  for (let i = 0; i < 60; i++) await turn();
  expect(begun).toHaveLength(101);
});

test('what a connection that has gone asked for begins no more', async () => {
  const begins = new FairQueue();
  const gone = {};
  let begun = 0;
  for (let i = 0; i < 20; i++) begins.take(gone, () => begun++);
  begins.forget(gone);
  for (let i = 0; i < 5; i++) await turn();
  expect(begun).toBe(2);
});

test('one that begins anew in its turn waits for the next', async () => {
  const begins = new FairQueue();
  let begun = 0;
  const again = () => {
    if (++begun < 100) begins.take(begins, again);
  };
  begins.take(begins, again);
  expect(begun).toBe(2);
  for (let i = 0; i < 60; i++) await turn();
  expect(begun).toBe(100);
});
