/**
 * Closing never waits for others: native/closer.c says why, and does it.
 *
 * An account is on whose behalf descriptors are closed, a link's as a rule: whoever hands over what can't be closed
 * holds up himself. A descriptor is on the account of the channel that it came through, whoever closes it.
 */
import { closeBy } from '../kernel/descriptors.js';
import { type NativeClosing, native } from './native.js';

export type Closing = NativeClosing;

/** One more account; it is there for as long as somebody, or a descriptor on it, refers to it. */
export const newClosing = (): Closing => native.closingNew();

/** Takes a socket of ours. Its peer sees it closed at once, whatever is in its queue. */
export function closeSocket(fd: number): void {
  native.socketClose(fd);
}

closeBy((fds) => native.descriptorsClose(fds));
