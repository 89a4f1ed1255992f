/** What the broker answered, as a result. Descriptors that nobody expects are closed. */
import { closeAll } from '../kernel/descriptors.js';
import { type ErrnoResult, ok } from '../kernel/result.js';
import type { Reply } from './protocol.js';

interface Answered {
  readonly reply: Reply;
  /** Owned by the receiver. */
  readonly fds: number[];
}

export type Answer = ErrnoResult<Answered>;

/** The first descriptor; more than one is not in the protocol, and closed. */
function takeOne(fds: number[]): number | undefined {
  closeAll(fds.slice(1));
  return fds[0];
}

/** The number of what the operation made, if its descriptor did not fit into our table; otherwise null. */
export function lostIn(answer: Answer): number | null {
  return answer.ok && answer.value.fds.length === 0 ? answer.value.reply.value : null;
}

/** The result of an operation that gives a descriptor, which is then owned by the caller. */
export function withDescriptor<T>(
  answer: Answer,
  value: (fd: number, reply: Reply) => T,
): ErrnoResult<T> {
  if (!answer.ok) return answer;
  const fd = takeOne(answer.value.fds);
  if (fd === undefined) return { ok: false, errno: 'EMFILE' }; // see lostIn
  return ok(value(fd, answer.value.reply));
}

/** The result of an operation that gives no descriptor. */
export function withoutDescriptor<T>(answer: Answer, value: (reply: Reply) => T): ErrnoResult<T> {
  if (!answer.ok) return answer;
  closeAll(answer.value.fds);
  return ok(value(answer.value.reply));
}
