/**
 * Broker: the typed client of pvx-broker, one method an operation of its closed list.
 *
 * Failures are values. No method ever rejects; when the channel ends, what is under way answers `EPIPE`, as
 * does everything after. Answers come in any order, so that one operation that hangs (a file system of a
 * container's own making) delays no other; how many are under way is bounded, the rest wait their turn.
 * Descriptors in an answer are the caller's.
 */
import { closeAll } from '../kernel/descriptors.js';
import type { SocketAddress } from '../kernel/ip-address.js';
import { type ErrnoResult, ok } from '../kernel/result.js';
import { wordAt } from '../kernel/word.js';
import { SOCKET_TYPES } from '../relay/native.js';
import { type Answer, lostIn, takeOne, withDescriptor, withoutDescriptor } from './answer.js';
import { DeviceOperations } from './device-operations.js';
import type { MessageChannel } from './message-channel.js';
import {
  decodeReply,
  encodeRequest,
  HOST,
  type Op,
  PROTOCOL_VERSION,
  type Request,
} from './protocol.js';

export interface Held {
  /** What the broker knows the container by. */
  readonly handle: number;
  /** Readable once the process is gone. */
  readonly pidfd: number;
  /** Clock ticks since boot. */
  readonly startTime: number;
  /** Inode of its mount namespace. */
  readonly mountNamespace: bigint;
  /** As /proc/PID/cgroup has it; empty where the kernel has none. */
  readonly cgroup: string;
}

export interface Planted {
  readonly fd: number;
  /** What `remove` takes. */
  readonly plant: number;
}

/** A container as `check` found it. */
export interface Checked {
  /** Plants that are no longer what the container sees at their paths. */
  readonly lost: readonly number[];
  /** Inode of its network namespace. */
  readonly network: bigint;
}

export interface TcpListener {
  readonly fd: number;
  /** Inode of the network namespace that it is in; 0: the host's. */
  readonly network: bigint;
}

export type BrokerSocketType = keyof typeof SOCKET_TYPES;

/** Answers that may be outstanding: half as many as the relay has, and enough for 8 threads. */
const IN_FLIGHT = 64;

interface Waiting {
  readonly op: Op;
  readonly request: Request;
  /** That go along. */
  readonly fds: readonly number[];
  readonly settle: (answer: Answer) => void;
}

export class Broker {
  /** The channel ended: the broker is gone, and the daemon can do nothing more. */
  onLost: (() => void) | null = null;
  readonly devices = new DeviceOperations((op, request, fds) => this.#ask(op, request, fds));
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
  async hello(): Promise<ErrnoResult<number>> {
    const answer = await this.#ask('HELLO', {});
    if (!answer.ok) return answer;
    const { reply, fds } = answer.value;
    const fd = takeOne(fds) ?? -1;
    if (reply.value === PROTOCOL_VERSION) return ok(fd);
    if (fd >= 0) closeAll([fd]);
    return { ok: false, errno: 'EPROTO' };
  }

  /** A stream connected to the runtime's socket. */
  async runtime(): Promise<ErrnoResult<number>> {
    return withDescriptor(await this.#ask('RUNTIME', {}), (fd) => fd);
  }

  /** `stamp`: newest start time that is acceptable, in clock ticks since boot; 0: any. */
  async hold(pid: number, stamp: number): Promise<ErrnoResult<Held>> {
    const answer = await this.#ask('HOLD', { arg: pid, stamp });
    const lost = lostIn(answer);
    if (lost !== null) void this.release(lost);
    return withDescriptor(answer, (pidfd, reply) => ({
      handle: reply.value,
      pidfd,
      startTime: reply.stamp,
      mountNamespace: reply.aux,
      cgroup: reply.data.toString('utf8'),
    }));
  }

  async release(container: number): Promise<void> {
    await this.#ask('RELEASE', { container });
  }

  async listenUnix(
    container: number,
    type: BrokerSocketType,
    path: string,
  ): Promise<ErrnoResult<Planted>> {
    const request = { container, type: SOCKET_TYPES[type], path };
    const answer = await this.#ask('LISTEN_UNIX', request);
    const lost = lostIn(answer);
    if (lost !== null) void this.remove(lost);
    return withDescriptor(answer, (fd, reply) => ({ fd, plant: reply.value }));
  }

  /** uid and gid as the container counts them. */
  async connectUnix(
    container: number,
    type: BrokerSocketType,
    path: string,
    uid: number,
    gid: number,
  ): Promise<ErrnoResult<number>> {
    const request = { container, type: SOCKET_TYPES[type], path, uid, gid };
    return withDescriptor(await this.#ask('CONNECT_UNIX', request), (fd) => fd);
  }

  /** `bus`: its place among those that the broker was started with. `ERANGE`: the uid is none of a role. */
  async connectBus(bus: number, uid: number): Promise<ErrnoResult<number>> {
    return withDescriptor(await this.#ask('CONNECT_BUS', { arg: bus, uid }), (fd) => fd);
  }

  async probeUnix(container: number, path: string): Promise<ErrnoResult<void>> {
    return withoutDescriptor(await this.#ask('PROBE_UNIX', { container, path }), () => undefined);
  }

  async read(container: number, path: string): Promise<ErrnoResult<Buffer>> {
    return withoutDescriptor(await this.#ask('READ', { container, path }), (reply) => reply.data);
  }

  /** A file below the host's folder of certificates; `path` begins with a slash. */
  async readCertificate(path: string): Promise<ErrnoResult<Buffer>> {
    return this.read(HOST, path);
  }

  async remove(plant: number): Promise<ErrnoResult<void>> {
    return withoutDescriptor(await this.#ask('REMOVE', { arg: plant }), () => undefined);
  }

  /** Whether what was planted in a container is still there, and in which network it is. `EBUSY`: ask again. */
  async check(container: number): Promise<ErrnoResult<Checked>> {
    return withoutDescriptor(await this.#ask('CHECK', { container }), ({ data, aux }) => ({
      lost: Array.from({ length: data.length / 4 }, (_, i) => wordAt(data, i * 4)),
      network: aux,
    }));
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

  /** A listener in the network namespace of a container, or (HOST) in our own. */
  async listenTcp(container: number, address: SocketAddress): Promise<ErrnoResult<TcpListener>> {
    const answer = await this.#ask('LISTEN_TCP', { container, address });
    return withDescriptor(answer, (fd, { aux }) => ({ fd, network: aux }));
  }

  /** Connected or on its way: `connected` of relay/channel.ts says which way it goes. */
  async connectTcp(container: number, address: SocketAddress): Promise<ErrnoResult<number>> {
    return withDescriptor(await this.#ask('CONNECT_TCP', { container, address }), (fd) => fd);
  }

  /** Whether somebody listens there, who does not notice. `EOPNOTSUPP`: this kernel can't tell. */
  async probeTcp(container: number, address: SocketAddress): Promise<ErrnoResult<void>> {
    const answer = await this.#ask('PROBE_TCP', { container, address });
    return withoutDescriptor(answer, () => undefined);
  }

  /** The record that `connectTcp` would send, for the relay to send it. */
  encodeConnectTcp(container: number, address: SocketAddress): Buffer | null {
    return encodeRequest(0, 'CONNECT_TCP', { container, address });
  }

  /** The record that `connectBus` would send, for the relay to send it. */
  encodeConnectBus(bus: number, uid: number): Buffer | null {
    return encodeRequest(0, 'CONNECT_BUS', { arg: bus, uid });
  }

  close(): void {
    this.#lost = true;
    this.#fail();
    this.#channel.close();
  }

  #ask(op: Op, request: Request, fds: readonly number[] = []): Promise<Answer> {
    return new Promise((settle) => {
      this.#queue.push({ op, request, fds, settle });
      this.#next();
    });
  }

  #next(): void {
    while (this.#queue.length > 0 && (this.#lost || this.#underWay.size < IN_FLIGHT)) {
      const waiting = this.#queue.shift() as Waiting;
      const id = this.#nextId();
      const record = this.#lost ? null : encodeRequest(id, waiting.op, waiting.request);
      if (!record) {
        closeAll(waiting.fds);
        waiting.settle({ ok: false, errno: this.#lost ? 'EPIPE' : 'EINVAL' });
        continue;
      }
      this.#underWay.set(id, waiting);
      this.#channel.send(record, waiting.fds);
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
      waiting.settle({ ok: false, errno: reply.errno });
    } else {
      waiting.settle(ok({ reply, fds }));
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
    for (const waiting of failed) waiting.settle({ ok: false, errno: 'EPIPE' });
    this.#next();
  }
}
