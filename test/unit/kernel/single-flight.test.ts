import { expect, test } from 'vitest';
import { SingleFlight } from '../../../src/kernel/single-flight.js';

/** Work whose every run ends when the test says so. */
function work() {
  const ends: { resolve: () => void; reject: (error: Error) => void }[] = [];
  let atOnce = 0;
  let most = 0;
  const run = async () => {
    most = Math.max(most, ++atOnce);
    try {
      await new Promise<void>((resolve, reject) => ends.push({ resolve, reject }));
    } finally {
      atOnce--;
    }
  };
  return { run, ends, most: () => most };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('however often it is asked for during a run, one more run follows', async () => {
  const { run, ends, most } = work();
  const flight = new SingleFlight(run);
  const first = flight.run();
  for (let i = 0; i < 5; i++) await flight.run();
  expect([ends.length, flight.isRunning]).toEqual([1, true]);
  ends[0]?.resolve();
  await turn();
  expect(ends.length).toBe(2);
  ends[1]?.resolve();
  await first;
  expect([ends.length, most(), flight.isRunning]).toEqual([2, 1, false]);
});

test('what nobody asked for meanwhile does not run again', async () => {
  const { run, ends } = work();
  const flight = new SingleFlight(run);
  const first = flight.run();
  ends[0]?.resolve();
  await first;
  await turn();
  expect(ends.length).toBe(1);
});

test('it can be asked for from within its own run', async () => {
  let runs = 0;
  const flight = new SingleFlight(async () => {
    if (++runs < 3) await flight.run();
  });
  await flight.run();
  expect(runs).toBe(3);
});

test('a run that fails is told to who began it, and the next one is free to run', async () => {
  const { run, ends } = work();
  const flight = new SingleFlight(run);
  const first = flight.run();
  ends[0]?.reject(new Error('no'));
  await expect(first).rejects.toThrow('no');
  const second = flight.run();
  ends[1]?.resolve();
  await second;
  expect(ends.length).toBe(2);
});
