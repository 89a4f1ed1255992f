/**
 * What the broker answered, as a result: the value, or the name of an errno. Descriptors that nobody expects are
 * closed.
 */
import { closeAll } from '../kernel/descriptors.js';
import type { Reply } from './protocol.js';

export type BrokerResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly errno: string };

export type Answer = { readonly reply: Reply; readonly fds: number[] } | { readonly errno: string };

/** The first descriptor; more than one is not in the protocol, and closed. */
export function takeOne(fds: number[]): number | undefined {
  closeAll(fds.slice(1));
  return fds[0];
}

/** The operation succeeded, but its descriptor did not fit into our table: what it made has to be undone. */
export function isLost(answer: Answer): answer is { reply: Reply; fds: number[] } {
  return 'reply' in answer && answer.fds.length === 0;
}

/** For operations that give a descriptor, which is the caller's. */
export function withDescriptor<T>(
  answer: Answer,
  value: (fd: number, reply: Reply) => T,
): BrokerResult<T> {
  if ('errno' in answer) return { ok: false, errno: answer.errno };
  const fd = takeOne(answer.fds);
  if (fd === undefined) return { ok: false, errno: 'EMFILE' }; // see isLost
  return { ok: true, value: value(fd, answer.reply) };
}

/** For those that give none. */
export function withoutDescriptor<T>(answer: Answer, value: (reply: Reply) => T): BrokerResult<T> {
  if ('errno' in answer) return { ok: false, errno: answer.errno };
  closeAll(answer.fds);
  return { ok: true, value: value(answer.reply) };
}
