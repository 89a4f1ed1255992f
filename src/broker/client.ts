/**
 * Broker: the typed client of pvx-broker, one method an operation of its closed list.
 *
 * Failures are values. No method ever rejects; when the channel ends, what is under way answers `EPIPE`, as
 * does everything after. Answers come in any order, so that one operation that hangs (a file system of a
 * container's own making) delays no other; how many are under way is bounded, the rest wait their turn.
 * Descriptors in an answer are the caller's.
 */
import { closeAll } from '../kernel/descriptors.js';
import { SOCKET_TYPES } from '../relay/native.js';
import type { MessageChannel } from './message-channel.js';
import {
  decodeReply,
  encodeRequest,
  type Op,
  PROTOCOL_VERSION,
  type Reply,
  type Request,
} from './protocol.js';

export type BrokerResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly errno: string };

export interface Held {
  /** What the broker knows the container by. */
  readonly handle: number;
  /** Readable once the process is gone. */
  readonly pidfd: number;
  /** Clock ticks since boot. */
  readonly startTime: number;
  /** Inode of its mount namespace. */
  readonly mountNamespace: bigint;
}

export interface Planted {
  readonly fd: number;
  /** What `remove` takes. */
  readonly plant: number;
}

export type BrokerSocketType = keyof typeof SOCKET_TYPES;

/** Answers that may be outstanding: half as many as the relay has, and enough for 8 threads. */
const IN_FLIGHT = 64;

type Answer = { readonly reply: Reply; readonly fds: number[] } | { readonly errno: string };

interface Waiting {
  readonly op: Op;
  readonly request: Request;
  readonly settle: (answer: Answer) => void;
}

export class Broker {
  /** The channel ended: the broker is gone, and the daemon can do nothing more. */
  onLost: (() => void) | null = null;
  readonly #channel: MessageChannel;
  readonly #underWay = new Map<number, Waiting>();
  readonly #queue: Waiting[] = [];
  #lastId = 0;
  #lost = false;

  /** Takes the channel. */
  constructor(channel: MessageChannel) {
    this.#channel = channel;
    channel.onMessage = (record, fds) => this.#answered(record, fds);
    channel.onEnd = () => this.#lose();
  }

  /** The listener of the daemon's own control socket; -1: none was asked for. `EPROTO`: another version. */
  async hello(): Promise<BrokerResult<number>> {
    const answer = await this.#ask('HELLO', {});
    if ('errno' in answer) return { ok: false, errno: answer.errno };
    const fd = takeOne(answer.fds) ?? -1;
    if (answer.reply.value === PROTOCOL_VERSION) return { ok: true, value: fd };
    if (fd >= 0) closeAll([fd]);
    return { ok: false, errno: 'EPROTO' };
  }

  /** A stream connected to the runtime's socket. */
  async runtime(): Promise<BrokerResult<number>> {
    return withDescriptor(await this.#ask('RUNTIME', {}), (fd) => fd);
  }

  /** `stamp`: newest start time that is acceptable, in clock ticks since boot; 0: any. */
  async hold(pid: number, stamp: number): Promise<BrokerResult<Held>> {
    const answer = await this.#ask('HOLD', { arg: pid, stamp });
    if (isLost(answer)) void this.release(answer.reply.value);
    return withDescriptor(answer, (pidfd, reply) => ({
      handle: reply.value,
      pidfd,
      startTime: reply.stamp,
      mountNamespace: reply.aux,
    }));
  }

  async release(container: number): Promise<void> {
    await this.#ask('RELEASE', { container });
  }

  async listenUnix(
    container: number,
    type: BrokerSocketType,
    path: string,
  ): Promise<BrokerResult<Planted>> {
    const request = { container, type: SOCKET_TYPES[type], path };
    const answer = await this.#ask('LISTEN_UNIX', request);
    if (isLost(answer)) void this.remove(answer.reply.value);
    return withDescriptor(answer, (fd, reply) => ({ fd, plant: reply.value }));
  }

  /** uid and gid as the container counts them. */
  async connectUnix(
    container: number,
    type: BrokerSocketType,
    path: string,
    uid: number,
    gid: number,
  ): Promise<BrokerResult<number>> {
    const request = { container, type: SOCKET_TYPES[type], path, uid, gid };
    return withDescriptor(await this.#ask('CONNECT_UNIX', request), (fd) => fd);
  }

  async probeUnix(container: number, path: string): Promise<BrokerResult<void>> {
    return withoutDescriptor(await this.#ask('PROBE_UNIX', { container, path }), () => undefined);
  }

  async read(container: number, path: string): Promise<BrokerResult<Buffer>> {
    return withoutDescriptor(await this.#ask('READ', { container, path }), (reply) => reply.data);
  }

  async remove(plant: number): Promise<BrokerResult<void>> {
    return withoutDescriptor(await this.#ask('REMOVE', { arg: plant }), () => undefined);
  }

  /** The record that `connectUnix` would send, for the relay to send it; null where the path is unusable. */
  encodeConnect(
    container: number,
    type: BrokerSocketType,
    path: string,
    uid: number,
    gid: number,
  ): Buffer | null {
    const request = { container, type: SOCKET_TYPES[type], path, uid, gid };
    return encodeRequest(0, 'CONNECT_UNIX', request);
  }

  close(): void {
    this.#lost = true;
    this.#fail();
    this.#channel.close();
  }

  #ask(op: Op, request: Request): Promise<Answer> {
    return new Promise((settle) => {
      this.#queue.push({ op, request, settle });
      this.#next();
    });
  }

  #next(): void {
    while (this.#queue.length > 0 && (this.#lost || this.#underWay.size < IN_FLIGHT)) {
      const waiting = this.#queue.shift() as Waiting;
      const id = this.#nextId();
      const record = this.#lost ? null : encodeRequest(id, waiting.op, waiting.request);
      if (!record) {
        waiting.settle({ errno: this.#lost ? 'EPIPE' : 'EINVAL' });
        continue;
      }
      this.#underWay.set(id, waiting);
      this.#channel.send(record);
    }
  }

  /** An operation may hang while the counter goes around: a number in use is passed over. */
  #nextId(): number {
    do {
      this.#lastId = (this.#lastId + 1) >>> 0;
    } while (this.#lastId === 0 || this.#underWay.has(this.#lastId));
    return this.#lastId;
  }

  #answered(record: Buffer, fds: number[]): void {
    const reply = decodeReply(record);
    const waiting = reply && this.#underWay.get(reply.id);
    if (!reply || !waiting) {
      closeAll(fds);
      return;
    }
    this.#underWay.delete(reply.id);
    if (reply.errno !== null) {
      closeAll(fds);
      waiting.settle({ errno: reply.errno });
    } else {
      waiting.settle({ reply, fds });
    }
    this.#next();
  }

  #lose(): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#channel.close();
    this.#fail();
    this.onLost?.();
  }

  #fail(): void {
    const failed = [...this.#underWay.values()];
    this.#underWay.clear();
    for (const waiting of failed) waiting.settle({ errno: 'EPIPE' });
    this.#next();
  }
}

/** The first descriptor; more than one is not in the protocol, and closed. */
function takeOne(fds: number[]): number | undefined {
  closeAll(fds.slice(1));
  return fds[0];
}

/** The operation succeeded, but its descriptor did not fit into our table: what it made has to be undone. */
function isLost(answer: Answer): answer is { reply: Reply; fds: number[] } {
  return 'reply' in answer && answer.fds.length === 0;
}

function withDescriptor<T>(
  answer: Answer,
  value: (fd: number, reply: Reply) => T,
): BrokerResult<T> {
  if ('errno' in answer) return { ok: false, errno: answer.errno };
  const fd = takeOne(answer.fds);
  if (fd === undefined) return { ok: false, errno: 'EMFILE' }; // see isLost
  return { ok: true, value: value(fd, answer.reply) };
}

function withoutDescriptor<T>(answer: Answer, value: (reply: Reply) => T): BrokerResult<T> {
  if ('errno' in answer) return { ok: false, errno: answer.errno };
  closeAll(answer.fds);
  return { ok: true, value: value(answer.reply) };
}
