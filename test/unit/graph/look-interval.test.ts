/** How close together the runtime's graph is looked at, on a clock of the test's own. */
import { describe, expect, it } from 'vitest';
import { LookInterval } from '../../../src/graph/look-interval.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** When looks happen until then, each taking that long; `work` is how much of it is reading. */
function looks(interval: LookInterval, from: number, until: number, took = 0, work = took) {
  const at: number[] = [];
  let now = from;
  while (now <= until) {
    at.push(now);
    now += took;
    now += interval.next(now, now - work);
  }
  return at;
}

describe('looks at the graph', () => {
  it('are 100 ms apart while something is missing, at first', () => {
    const at = looks(new LookInterval(5_000, 0), 0, 20 * SECOND);
    expect(at.slice(0, 4)).toEqual([0, 100, 200, 300]);
    expect(at).toHaveLength(201);
  });

  it('are as close after an answer that took 7 s, or 40 s, to begin', () => {
    for (const took of [7 * SECOND, 40 * SECOND]) {
      const interval = new LookInterval(5_000, 0);
      expect(interval.next(took, took)).toBeLessThan(200);
    }
  });

  it('are never later than a 300th of what was waited for, and cost less and less', () => {
    const interval = new LookInterval(5_000, 0);
    const at = looks(interval, 0, 60 * MINUTE);
    for (const [i, time] of at.entries()) {
      const wait = (at[i + 1] ?? time) - time;
      expect(wait).toBeLessThanOrEqual(Math.max(100, time / 300));
    }
    expect(at.length).toBeLessThan(2_200);
    expect(interval.next(60 * MINUTE, 60 * MINUTE)).toBe(5_000);
  });

  it('double from 100 ms to the interval where nothing is missing', () => {
    const interval = new LookInterval(5_000, 0);
    interval.expect(false);
    const at = looks(interval, 0, 20 * SECOND);
    expect(at).toEqual([0, 100, 300, 700, 1_500, 3_100, 6_300, 11_300, 16_300]);
    interval.news(20 * SECOND);
    expect(interval.next(20 * SECOND, 20 * SECOND)).toBe(100);
  });

  it('are one twentieth of the time, where reading is what takes long', () => {
    const interval = new LookInterval(5_000, 0);
    expect(interval.next(50, 0)).toBe(1_000);
    expect(interval.next(10_000, 0)).toBe(5_000);
  });
});
