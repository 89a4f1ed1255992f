/**
 * Failures of a system call that pass: want of memory, a full table, a limit that others share. The kernel has no
 * event for their end, so whatever failed is tried again after a while, as the relay's thread does with its tick.
 */
import { native } from './native.js';

/** Nothing to read, or no room to write. This one has an event that tells its end. */
export const EAGAIN = 11;
/** As RELAY_TICK_MS of native/relay/relay.h. */
const RETRY_MS = 50;

/** Whether the same call may succeed in a moment; EAGAIN is such an errno, too. */
export function isTransient(errno: number): boolean {
  return native.isTransient(errno);
}

/** Calls it once, after a while, unless the timer is cleared. */
export function tryLater(attempt: () => void): NodeJS.Timeout {
  return setTimeout(attempt, RETRY_MS);
}
