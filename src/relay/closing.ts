/**
 * Closing never waits for others: native/closer.c says why, and does it.
 *
 * An account is on whose behalf descriptors are closed, a link's as a rule: whoever hands over what can't be closed
 * holds up himself. A descriptor is on the account of the channel that it came through, whoever closes it.
 */
import { closeAll, closeBy } from '../kernel/descriptors.js';
import { type NativeClosing, native } from './native.js';

export type Closing = NativeClosing;

/** One more account; it is there for as long as somebody, or a descriptor on it, refers to it. */
export const newClosing = (): Closing => native.closingNew();

/** Takes a socket of ours. Its peer sees it closed at once, whatever is in its queue. */
export function closeSocket(fd: number): void {
  native.socketClose(fd);
}

/** Takes a socket of ours that another process has, too: there it goes on. */
export function closeShared(fd: number): void {
  native.socketLeave(fd);
}

/** The same open files once more, the caller's, on the same accounts. Null: there is no room for them, or no such. */
export function duplicate(fds: readonly number[]): number[] | null {
  const copies = fds.map((fd) => native.descriptorDuplicate(fd));
  if (copies.every((copy) => copy >= 0)) return copies;
  closeAll(copies.filter((copy) => copy >= 0));
  return null;
}

closeBy((fds) => native.descriptorsClose(fds));
