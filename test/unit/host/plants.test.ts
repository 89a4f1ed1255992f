/** Who is told that a planted thing is lost, when, and how often, with a broker of the test's own. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Checked } from '../../../src/broker/client.js';
import { Container } from '../../../src/host/containers.js';
import { PlantWatch, Replanting } from '../../../src/host/plants.js';
import type { ErrnoResult } from '../../../src/kernel/result.js';

const PERIOD = 500;

describe('what stands in containers', () => {
  // Others of this process have timers, too, and may set one meanwhile.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
  afterEach(() => void vi.useRealTimers());

  const container = new Container('a', 7, 1, 1);
  const other = new Container('b', 8, 2, 2);

  function parts() {
    const asked: number[] = [];
    const answers = new Map<number, (result: ErrnoResult<Checked>) => void>();
    const watch = new PlantWatch({
      check: (handle) => {
        asked.push(handle);
        return new Promise((resolve) => answers.set(handle, resolve));
      },
    });
    const answer = async (handle: number, ...lost: number[]) => {
      answers.get(handle)?.({ ok: true, value: { lost, network: 5n } });
      await vi.advanceTimersByTimeAsync(0);
    };
    const next = () => vi.advanceTimersByTimeAsync(PERIOD);
    return { asked, watch, answer, next, answers };
  }

  test('is asked about once a period, for all of a container together, while something is there', async () => {
    const { asked, watch, answer, next } = parts();
    const ends = [10, 11, 12].map((plant) => watch.plant(container, plant, () => {}));
    await next();
    expect(asked).toEqual([1]);
    await answer(1);
    await next();
    expect(asked).toEqual([1, 1]);
    await answer(1);
    for (const end of ends) end();
    await next();
    expect(asked).toEqual([1, 1]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is watched on, whoever of those before it ends late', async () => {
    const { asked, watch, answer, next } = parts();
    const lost: string[] = [];
    const end = watch.plant(container, 10, () => lost.push('10'));
    await next();
    end(); // while the question is under way
    const endSecond = watch.plant(container, 11, () => lost.push('11'));
    await answer(1);
    await next();
    expect(asked).toEqual([1, 1]);
    await answer(1, 11);
    watch.plant(container, 12, () => lost.push('12'));
    endSecond(); // it was lost before, and ends a second time
    await next();
    await answer(1, 12);
    expect(lost).toEqual(['11', '12']);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is told lost once, to whom it is about', async () => {
    const { watch, answer, next } = parts();
    const lost: string[] = [];
    watch.plant(container, 10, () => lost.push('10'));
    watch.plant(container, 11, () => lost.push('11'));
    const end = watch.plant(container, 12, () => lost.push('12'));
    end();
    await next();
    await answer(1, 11, 12, 99);
    await next();
    await answer(1, 11);
    expect(lost).toEqual(['11']);
  });

  test('that hangs in one container holds up no other, and is asked for once', async () => {
    const { asked, watch, answer, next } = parts();
    watch.plant(container, 10, () => {});
    watch.plant(other, 20, () => {});
    for (let i = 0; i < 5; i++) {
      await next();
      await answer(2);
    }
    expect(asked).toEqual([1, 2, 2, 2, 2, 2]);
  });

  test('is not lost where the broker can not tell', async () => {
    const { watch, answers, next, answer } = parts();
    let lost = 0;
    watch.plant(container, 10, () => lost++);
    await next();
    answers.get(1)?.({ ok: false, errno: 'EBUSY' });
    await next();
    await answer(1, 10);
    expect(lost).toBe(1);
  });

  test('is lost in another network', async () => {
    const { watch, answer, next } = parts();
    const lost: string[] = [];
    watch.network(container, 5n, () => lost.push('same'));
    watch.network(container, 4n, () => lost.push('other'));
    await next();
    await answer(1);
    expect(lost).toEqual(['other']);
  });
});

describe('planting again', () => {
  test('is done at once, and later and later where it is lost again soon', () => {
    const replanting = new Replanting(0);
    const waits: number[] = [];
    for (let now = 0; now < 30_000; now += (waits.at(-1) ?? 0) + 500) {
      waits.push(replanting.wait(now));
      replanting.planted(now);
    }
    expect(waits.slice(0, 8)).toEqual([0, 100, 200, 400, 800, 1_600, 3_200, 5_000]);
    expect(Math.max(...waits)).toBe(5_000);
  });

  test('is done at once again for what stood a minute', () => {
    const replanting = new Replanting(0);
    for (let i = 0; i < 5; i++) replanting.wait(i);
    replanting.planted(10);
    expect(replanting.wait(60_010)).toBe(0);
    expect(replanting.wait(60_020)).toBe(100);
  });
});
