/**
 * When the runtime's graph is looked at next. Pure.
 *
 * While something is still expected of it (a container without a pid, a runtime that does not answer, a process that
 * the graph names and that is gone), the wait is a small part of the time since the last news, from 100 ms on: a
 * container that comes has its links soon, however late the runtime served its first graph, and one that never comes
 * costs less and less. Else the waits double from 100 ms. Neither is longer than the interval.
 *
 * Looks are work for both sides: reading an answer may take one part in twenty of the time. Waiting for a runtime to
 * begin its answer is no work, and is not counted.
 */

import { BackOff } from '../kernel/back-off.js';

const FIRST_MS = 100;
/** What is waited for comes at most by this part of its own time later. */
const PATIENCE = 300;
/** Looking may take one part in so many of the time. */
const SHARE = 20;

export class LookInterval {
  readonly #longestMs: number;
  readonly #backOff: BackOff;
  #newsAt: number;
  #expecting = true;

  /** Times are milliseconds of one clock. Something is expected at first. */
  constructor(longestMs: number, now: number) {
    this.#longestMs = longestMs;
    this.#backOff = new BackOff(longestMs, FIRST_MS);
    this.#newsAt = now;
  }

  /** Something happened: more may. */
  news(now: number): void {
    this.#newsAt = now;
    this.#backOff.reset();
  }

  /** Whether something is missing that the next look may bring. */
  expect(expecting = true): void {
    this.#expecting = expecting;
  }

  /** Whole milliseconds to wait from `now`, the end of a look that was work since `workedFrom`. */
  next(now: number, workedFrom: number): number {
    const doubling = this.#backOff.next();
    const wait = this.#expecting ? Math.max(FIRST_MS, (now - this.#newsAt) / PATIENCE) : doubling;
    const ms = Math.max(wait, SHARE * (now - workedFrom));
    return Math.floor(Math.min(ms, this.#longestMs));
  }
}
