/** The boot clock beside the start times that it is compared with, and the texts that it reads. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bootTicks, isGenuine, startTicksOf, ticksOf } from '../../../src/kernel/boot-clock.js';

async function startedNow(): Promise<number> {
  const child = spawn('sleep', ['10']);
  await new Promise((resolve) => child.once('spawn', resolve));
  const start = startTicksOf(readFileSync(`/proc/${child.pid}/stat`, 'latin1'));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill();
  await ended;
  return start;
}

describe('the boot clock', () => {
  it('never calls a process newer that started before the call, nor one older that started after', async () => {
    for (let round = 0; round < 20; round++) {
      const before = bootTicks();
      const start = await startedNow();
      const after = bootTicks();
      expect(start).toBeGreaterThanOrEqual(before);
      expect(start).toBeLessThanOrEqual(after);
    }
  });

  it('reads seconds and hundredths without rounding', () => {
    expect(ticksOf('16407.76 32553.99\n')).toBe(1_640_776);
    expect(ticksOf('0.07 0.00\n')).toBe(7);
    expect(ticksOf('90071992.54 1.00\n')).toBe(9_007_199_254);
    expect(ticksOf('')).toBe(0);
    expect(ticksOf('soon')).toBe(0);
  });

  it('reads a start time behind any process name', () => {
    const fields = Array.from({ length: 50 }, (_, at) => at + 4);
    expect(startTicksOf(`12 (a) S (b) c) S ${fields.join(' ')}`)).toBe(22);
    expect(startTicksOf('')).toBe(0);
  });

  it("knows the kernel's uptime from that of a container with lxcfs", () => {
    expect(isGenuine(100_500, 100_000, 5)).toBe(true);
    expect(isGenuine(100_499, 100_000, 5)).toBe(true); // rounding
    expect(isGenuine(250_000, 100_000, 5)).toBe(true); // suspended meanwhile
    expect(isGenuine(90_500, 100_000, 5)).toBe(false);
    expect(isGenuine(0, 100_000, 5)).toBe(false);
    expect(isGenuine(100_500, 0, 5)).toBe(false);
  });
});
