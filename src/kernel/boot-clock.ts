/**
 * Time since boot in clock ticks, comparable to the start time of a process (proc_pid_stat(5), field 22).
 *
 * Both come from CLOCK_BOOTTIME as the reader's time namespace has it, and both are rounded down to 10 ms
 * (USER_HZ is 100 on every machine that Node.js runs on), so a process that started before the call never
 * has a later tick than the call returns: rounding down keeps the order. Adding a tick to be safe would only
 * let a recycled pid slip through.
 */
import { readFileSync } from 'node:fs';
import { statField } from './process-stat.js';

const TICKS_PER_SECOND = 100;
export const TICK_MS = 1_000 / TICKS_PER_SECOND;
/** Rounding of three readings, and no more. */
const TOLERANCE = 3;

let genuine: boolean | undefined;

/** Now; 0 where /proc does not tell, which accepts any process (see GraphSnapshot). */
export function bootTicks(): number {
  const ticks = ticksOf(read('/proc/uptime'));
  genuine ??= isGenuine(ticks, startTicksOfPid('self'), process.uptime());
  return genuine ? ticks : 0;
}

/** First field of /proc/uptime: seconds with two digits after the point. 0 for anything else. */
export function ticksOf(uptime: string): number {
  const match = /^(\d+)\.(\d\d) /.exec(uptime);
  return match ? Number(match[1]) * TICKS_PER_SECOND + Number(match[2]) : 0;
}

/** When a process began, of its stat file. 0 for anything else. */
export function startTicksOf(stat: string): number {
  return statField(stat, 22);
}

/** 0 where there is no such process, or none that may be seen. */
export function startTicksOfPid(pid: number | 'self'): number {
  return startTicksOf(read(`/proc/${pid}/stat`));
}

/** When a process began that started at these ticks, in milliseconds since 1970; 0: nobody knows. */
export function beganAt(startTicks: number): number {
  const now = bootTicks();
  return now === 0 || startTicks === 0 ? 0 : Date.now() - (now - startTicks) * TICK_MS;
}

/**
 * In an LXC container, lxcfs puts its own /proc/uptime over the kernel's, which counts from the container's
 * start while start times go on counting from boot. Our own start and age tell the two apart.
 *
 * @param ticks what /proc/uptime says, @param start our own start time in ticks, @param age in seconds
 */
export function isGenuine(ticks: number, start: number, age: number): boolean {
  if (ticks === 0 || start === 0) return false;
  return ticks + TOLERANCE >= start + Math.floor(age * TICKS_PER_SECOND);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // no /proc, or no such process: the time is not known
  }
}
