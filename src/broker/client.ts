/**
 * Broker: the typed client of pvx-broker, with one method for each operation of its closed list.
 *
 * A daemon that dies is followed by another on the same channel. The ids of its requests have its incarnation in them, so
 * an answer to its predecessor has an id that it does not know, and is closed; and what the broker still holds and has
 * planted for its predecessor it takes over by `hold`, `keep` and `devices.plant`, or has removed by `sweep`.
 *
 * Failures are values, and no method ever rejects. When the channel has ended, pending and later operations fail with
 * `EPIPE`. Answers come in any order, so an operation that hangs (in a container's own file system) delays no other.
 * The number of pending operations is bounded; further ones wait in a queue. Descriptors in an answer are owned by the
 * caller.
 */
import { closeAll } from '../kernel/descriptors.js';
import type { SocketAddress } from '../kernel/ip-address.js';
import { type ErrnoResult, ok } from '../kernel/result.js';
import { wordAt } from '../kernel/word.js';
import { SOCKET_TYPES } from '../relay/native.js';
import { type Answer, lostIn, withDescriptor, withoutDescriptor } from './answer.js';
import { DeviceOperations } from './device-operations.js';
import type { MessageChannel } from './message-channel.js';
import {
  decodeReply,
  encodeRequest,
  HOST,
  type Op,
  PROTOCOL_VERSION,
  type Reply,
  type Request,
} from './protocol.js';

export interface Held {
  /** The number by which the broker knows the container. */
  readonly handle: number;
  /** Readable once the process has ended. */
  readonly pidfd: number;
  /** In clock ticks since boot. */
  readonly startTime: number;
  /** Inode of its mount namespace. */
  readonly mountNamespace: bigint;
  /** The text of /proc/PID/cgroup; empty if the kernel has no cgroups. */
  readonly cgroup: string;
}

export interface Planted {
  readonly fd: number;
  /** The argument for `remove`. */
  readonly plant: number;
}

/** A container as `check` found it. */
export interface Checked {
  /** The numbers of plants that the container no longer sees at their paths. */
  readonly lost: readonly number[];
  /** Inode of its network namespace. */
  readonly network: bigint;
}

export interface TcpListener {
  readonly fd: number;
  /** Inode of the network namespace of the listener; 0: the host's. */
  readonly network: bigint;
}

export type BrokerSocketType = keyof typeof SOCKET_TYPES;

/** The most pending operations: enough for the 8 threads that the broker has for this channel. */
const IN_FLIGHT = 64;
/** What changes that which a successor is given. */
const MAKES: readonly Op[] = ['HOLD', 'LISTEN_UNIX', 'LISTEN_TCP', 'PLANT_NODE', 'KEEP'];
const UNDOES: readonly Op[] = ['RELEASE', 'REMOVE', 'SWEEP'];
const HANDED_OVER: readonly Op[] = [...MAKES, ...UNDOES, 'CHECK'];
/** Of what a successor answers for. */
const DONE: Reply = {
  ...{ id: 0, errno: null, value: 0, stamp: 0, aux: 0n },
  data: Buffer.alloc(0),
};
/** Numbers of one incarnation: the lower bits of an id. */
const IDS = 1 << 20;

interface Waiting {
  readonly op: Op;
  readonly request: Request;
  /** Descriptors that are sent with the request. */
  readonly fds: readonly number[];
  readonly settle: (answer: Answer) => void;
}

export class Broker {
  /** The channel has ended, so the broker has, and the daemon can do nothing more. */
  onLost: (() => void) | null = null;
  readonly devices = new DeviceOperations((op, request, fds) => this.#ask(op, request, fds));
  readonly #channel: MessageChannel;
  readonly #underWay = new Map<number, Waiting>();
  readonly #queue: Waiting[] = [];
  readonly #incarnation: number;
  /** `frozen`: what makes and undoes waits. `left`: that is another one's, who has another broker. */
  #state: 'ours' | 'frozen' | 'left' = 'ours';
  readonly #held: Waiting[] = [];
  #settled: (() => void) | null = null;
  #lastNumber = 0;
  #lost = false;

  /** Takes the channel. `incarnation`: of the daemon, for the broker: 1, 2 and so on. */
  constructor(channel: MessageChannel, incarnation: number) {
    this.#channel = channel;
    this.#incarnation = incarnation;
    channel.onMessage = (record, fds) => this.#answered(record, fds);
    channel.onEnd = () => this.#lose();
  }

  /**
   * To be asked first of all, and waited for: from then on this daemon is the one that the broker answers. What clients
   * of earlier ones were granted is revoked. `EPROTO`: the broker's version is another one.
   */
  async hello(): Promise<ErrnoResult<void>> {
    const answer = await this.#ask('HELLO', { arg: this.#incarnation });
    const version = withoutDescriptor(answer, ({ value }) => value);
    if (!version.ok) return version;
    return version.value === PROTOCOL_VERSION ? ok(undefined) : { ok: false, errno: 'EPROTO' };
  }

  /**
   * What we hold and have planted stays as it is: what would change it waits, until `thaw` or `leave`. Resolves when what
   * was under way of that has ended. Connections and devices can be had as before.
   */
  async freeze(): Promise<void> {
    this.#state = 'frozen';
    this.#held.push(...this.#queue.filter(isHandedOver));
    const left = this.#queue.filter((waiting) => !isHandedOver(waiting));
    this.#queue.splice(0, this.#queue.length, ...left);
    await new Promise<void>((resolve) => {
      this.#settled = resolve;
      this.#checkSettled();
    });
  }

  thaw(): void {
    this.#state = 'ours';
    this.#queue.push(...this.#held.splice(0));
    this.#next();
  }

  /**
   * What we hold and have planted is a successor's from now on, who has a broker of its own: nothing of it is changed any
   * more. What would undo it succeeds at once; what would add to it fails with `EPIPE`.
   */
  leave(): void {
    this.#state = 'left';
    for (const waiting of this.#held.splice(0)) answerLeft(waiting);
  }

  /** See `leave`. */
  get hasLeft(): boolean {
    return this.#state === 'left';
  }

  /** What an earlier daemon planted is ours from now on. `EBADF`: there is no such plant any more. */
  async keep(plant: number): Promise<ErrnoResult<void>> {
    return withoutDescriptor(await this.#ask('KEEP', { arg: plant }), () => undefined);
  }

  /**
   * Removes all that earlier daemons planted and we have not kept, and releases the containers that only they held. It
   * is done soon, except for file systems that hang; nobody waits for those.
   */
  async sweep(): Promise<ErrnoResult<void>> {
    return withoutDescriptor(await this.#ask('SWEEP', {}), () => undefined);
  }

  /** A stream connected to the runtime's socket. */
  async runtime(): Promise<ErrnoResult<number>> {
    return withDescriptor(await this.#ask('RUNTIME', {}), (fd) => fd);
  }

  /**
   * A process that an earlier daemon held keeps its handle. `stamp`: the latest acceptable start time of the process, in
   * clock ticks since boot; 0: any.
   */
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

  /** `bus`: index of the bus in the command line of the broker. `ERANGE`: the uid is outside the range of roles. */
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

  /** What of the plants in a container is lost, and which network it is in. `EBUSY`: ask again. */
  async check(container: number): Promise<ErrnoResult<Checked>> {
    return withoutDescriptor(await this.#ask('CHECK', { container }), ({ data, aux }) => ({
      lost: Array.from({ length: data.length / 4 }, (_, i) => wordAt(data, i * 4)),
      network: aux,
    }));
  }

  /** The request of `connectUnix` as a record that the relay sends; null if the path is unusable. */
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

  /** A listener in the network namespace of a container or, for HOST, of the host. */
  async listenTcp(container: number, address: SocketAddress): Promise<ErrnoResult<TcpListener>> {
    const answer = await this.#ask('LISTEN_TCP', { container, address });
    return withDescriptor(answer, (fd, { aux }) => ({ fd, network: aux }));
  }

  /** A socket that is connected or connecting: `connected` of relay/channel.ts waits for the outcome. */
  async connectTcp(container: number, address: SocketAddress): Promise<ErrnoResult<number>> {
    return withDescriptor(await this.#ask('CONNECT_TCP', { container, address }), (fd) => fd);
  }

  /** Whether a socket listens there; no connection is made for it. `EOPNOTSUPP`: this kernel can't tell. */
  async probeTcp(container: number, address: SocketAddress): Promise<ErrnoResult<void>> {
    const answer = await this.#ask('PROBE_TCP', { container, address });
    return withoutDescriptor(answer, () => undefined);
  }

  /** The request of `connectTcp` as a record that the relay sends. */
  encodeConnectTcp(container: number, address: SocketAddress): Buffer | null {
    return encodeRequest(0, 'CONNECT_TCP', { container, address });
  }

  /** The request of `connectBus` as a record that the relay sends. */
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
      const waiting = { op, request, fds, settle };
      if (this.#state === 'ours' || !isHandedOver(waiting) || this.#lost) this.#queue.push(waiting);
      else if (this.#state === 'frozen') this.#held.push(waiting);
      else answerLeft(waiting);
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

  /** An operation may hang until the numbers begin again, so those in use are skipped; as is 0, which is no id. */
  #nextId(): number {
    let id: number;
    do {
      this.#lastNumber = (this.#lastNumber + 1) % IDS;
      id = (this.#incarnation * IDS + this.#lastNumber) >>> 0;
    } while (id === 0 || this.#underWay.has(id));
    return id;
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
    this.#checkSettled();
    this.#next();
  }

  #checkSettled(): void {
    if ([...this.#underWay.values()].some(isHandedOver)) return;
    this.#settled?.();
    this.#settled = null;
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
    failed.push(...this.#held.splice(0));
    this.#checkSettled();
    for (const waiting of failed) waiting.settle({ ok: false, errno: 'EPIPE' });
    this.#next();
  }
}

function isHandedOver({ op }: Waiting): boolean {
  return HANDED_OVER.includes(op);
}

function answerLeft({ op, fds, settle }: Waiting): void {
  closeAll(fds);
  settle(UNDOES.includes(op) ? ok({ reply: DONE, fds: [] }) : { ok: false, errno: 'EPIPE' });
}
