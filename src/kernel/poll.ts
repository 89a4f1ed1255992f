/** Repeated attempts at something that may soon succeed, where nothing tells when. */
import { setTimeout } from 'node:timers/promises';

export interface PollOptions {
  /** Between the end of one attempt and the next, in milliseconds. */
  readonly everyMs: number;
  /** The deadline, by performance.now(): no attempt begins after one that ended later. Absent: there is none. */
  readonly deadline?: number;
}

/**
 * Attempts until an outcome is final, or until the deadline. Resolves with the last outcome; rejects as an attempt
 * does.
 */
export async function pollUntil<T>(
  isFinal: (outcome: T) => boolean,
  attempt: () => Promise<T>,
  { everyMs, deadline = Number.POSITIVE_INFINITY }: PollOptions,
): Promise<T> {
  for (;;) {
    const outcome = await attempt();
    if (isFinal(outcome) || performance.now() >= deadline) return outcome;
    await setTimeout(everyMs);
  }
}
