import { afterEach, expect, test, vi } from 'vitest';
import { Deadlines, type Timed } from '../../../src/http1/deadlines.js';

afterEach(() => {
  vi.useRealTimers();
});

/** `passed` resolves when its deadline has passed. */
function timed(deadlines: Deadlines, ms: number) {
  let pass: () => void = () => undefined;
  const one: Timed & { isPassed: boolean; passed: Promise<void> } = {
    deadline: Number.POSITIVE_INFINITY,
    isPassed: false,
    passed: new Promise<void>((resolve) => {
      pass = resolve;
    }),
    expired: () => {
      one.isPassed = true;
      pass();
    },
  };
  deadlines.add(one);
  deadlines.within(one, ms);
  return one;
}

test('a clock that is set, as at the first contact with a time server, ends nothing before its time', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: 0 });
  const deadlines = new Deadlines();
  const long = timed(deadlines, 60_000);
  const short = timed(deadlines, 1);
  vi.setSystemTime(new Date('2026-01-01'));
  await short.passed;
  expect(long.isPassed).toBe(false);
});

test('a clock that is set back holds up nothing', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-01-01') });
  const deadlines = new Deadlines();
  const short = timed(deadlines, 1);
  vi.setSystemTime(0);
  await short.passed;
  expect(short.isPassed).toBe(true);
});
