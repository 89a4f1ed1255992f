/**
 * Waiting for a state of another process or of the kernel: tried again until it holds, with a generous end. Time alone
 * is waited for by `pause` only, and each use of it says why there is no state to wait for.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { bootTicks } from '../../src/kernel/boot-clock.js';

/** Lets so many milliseconds pass: the rate of a slow reader or writer, or the time in which nothing may happen. */
export const pause = (ms: number): Promise<void> => sleep(ms);

export interface WaitOptions {
  readonly timeoutMs?: number;
  readonly intervalMs?: number;
}

/** Runs `attempt` until it does not throw, and returns what it returned; at the end throws its last error. */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  { timeoutMs = 10_000, intervalMs = 20 }: WaitOptions = {},
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() >= deadline) throw error;
    }
    await pause(intervalMs);
  }
}

/** How many looks in a row, and how long apart, have to find the same for something to be at rest. */
const LOOKS = 10;
const LOOK_MS = 20;

/**
 * Waits until `read` returns the same value ten times in a row, and returns it: for changes whose end nothing reports.
 */
export async function atRest<T>(read: () => T | Promise<T>): Promise<T> {
  let last = await read();
  for (let same = 1; same < LOOKS; same++) {
    await pause(LOOK_MS);
    const now = await read();
    if (now !== last) same = 0;
    last = now;
  }
  return last;
}

/**
 * Waits until a process that is started then has a later start time, in ticks of 10 ms, than one that was started
 * before.
 */
export async function nextTick(): Promise<void> {
  const before = bootTicks();
  while (bootTicks() <= before) await pause(1);
}
