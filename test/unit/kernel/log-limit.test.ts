/** Which lines are left out of a log, on a clock of the test's own. */
import { describe, expect, test } from 'vitest';
import { LogLimit } from '../../../src/kernel/log-limit.js';

const SECOND = 1_000;

/** Lines that are written when `lines` come one a millisecond, for so long: their own, and those that sum up. */
function written(texts: (i: number) => string, forMs: number, about = 'link') {
  const limit = new LogLimit<string>();
  const own: string[] = [];
  const sums: { line: string; times: number; isSame: boolean }[] = [];
  for (let now = 0; now < forMs; now++) {
    const text = texts(now);
    if (limit.admits(about, text, text, now)) own.push(text);
    if (now % SECOND === 0) sums.push(...limit.due(now));
  }
  sums.push(...limit.due(Number.POSITIVE_INFINITY));
  return { own, sums, limit };
}

describe('the log', () => {
  test('has a line that is repeated for ever three times, and then its count, ever more seldom', () => {
    const { own, sums } = written(() => 'the device is missing', 600 * SECOND);
    expect(own).toHaveLength(3);
    expect(sums.length).toBeLessThan(12);
    expect(sums.reduce((sum, { times }) => sum + times, own.length)).toBe(600 * SECOND);
    expect(sums.every(({ isSame }) => isSame)).toBe(true);
  });

  test('has of a flapping provider a few lines, the newest state last', () => {
    const states = ['established', 'waiting'];
    const { own, sums } = written((i) => states[i % 2] as string, 60 * SECOND);
    expect(own).toHaveLength(6);
    expect(sums.length).toBeLessThan(16);
    expect(sums.at(-1)?.line).toBe('waiting');
  });

  test('has at most a hundred different lines about one of them in 10 s, and says how many more', () => {
    const { own, sums } = written((i) => `word ${i}`, 10 * SECOND);
    expect(own).toHaveLength(100);
    expect(sums.filter(({ isSame }) => !isSame)).toMatchObject([{ times: 9_900 }]);
  });

  test('has every line about others meanwhile', () => {
    const limit = new LogLimit<string>();
    for (let i = 0; i < 1_000; i++) limit.admits('noisy', 'x', 'x', i);
    expect(limit.admits('quiet', 'x', 'x', 1_000)).toBe(true);
  });

  test('has a line anew that was not repeated for its time, and forgets all that is over', () => {
    const limit = new LogLimit<string>();
    for (let i = 0; i < 3; i++) expect(limit.admits('link', 'x', 'x', 0)).toBe(true);
    expect(limit.due(SECOND)).toEqual([]);
    expect(limit.admits('link', 'x', 'x', SECOND)).toBe(true);
    expect(limit.due(60 * SECOND)).toEqual([]);
    expect(limit.isEmpty).toBe(true);
  });

  test('remembers a bounded number of lines and of whom they are about', () => {
    const limit = new LogLimit<string>();
    for (let i = 0; i < 100_000; i++) limit.admits(`link ${i}`, `x ${i}`, 'x', 0);
    expect(limit.due(60 * SECOND)).toEqual([]);
    expect(limit.isEmpty).toBe(true);
  });
});
