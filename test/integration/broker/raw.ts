/** A broker that is sent raw records, for requests that our client never sends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import {
  decodeReply,
  encodeRequest,
  type Op,
  type Reply,
  type Request,
} from '../../../src/broker/protocol.js';
import { closeAll } from '../../../src/kernel/descriptors.js';
import { Channel } from '../../../src/relay/channel.js';
import { native, PACKAGE_ROOT, SOCKET_TYPES } from '../../../src/relay/native.js';
import { endOf } from '../../support/processes.js';
import { eventually } from '../../support/wait.js';

export class RawBroker {
  readonly process: ChildProcess;
  readonly #channel: Channel;
  readonly #relay: number;
  readonly #replies = new Map<number, Reply>();
  #lastId = 0;
  #incarnation = 0;

  /** `program`: another one than that which was built. */
  constructor(
    args: readonly string[] = [],
    program = `${PACKAGE_ROOT}/build/Release/pvx-broker`,
    env: Readonly<Record<string, string>> = {},
  ) {
    const [ours, theirs] = native.socketPair(SOCKET_TYPES.seqpacket);
    const [relay, theirRelay] = native.socketPair(SOCKET_TYPES.seqpacket);
    this.process = spawn(program, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit', theirs, theirRelay],
    });
    closeSync(theirs);
    closeSync(theirRelay);
    this.#relay = relay;
    this.#channel = new Channel(ours, true);
    this.#channel.onData = (record, fds) => {
      closeAll(fds);
      const reply = decodeReply(record);
      if (reply) this.#replies.set(reply.id, reply);
    };
  }

  get pid(): number {
    return this.process.pid as number;
  }

  /** Takes the descriptors; those of the answer are closed. */
  ask(op: Op, request: Request, fds: readonly number[] = []): Promise<Reply> {
    return this.#ask(this.#incarnation, op, request, fds);
  }

  async #ask(incarnation: number, op: Op, request: Request, fds: readonly number[]) {
    const id = incarnation * 2 ** 20 + ++this.#lastId;
    this.#channel.write(encodeRequest(id, op, request) as Buffer, fds);
    return eventually(() => {
      const reply = this.#replies.get(id);
      if (!reply) throw new Error(`no answer to ${op}`);
      return reply;
    });
  }

  /** What a daemon of that incarnation asks. */
  as(incarnation: number): Pick<RawBroker, 'ask'> {
    return { ask: (op, request, fds = []) => this.#ask(incarnation, op, request, fds) };
  }

  /** As a daemon of this incarnation, from now on. */
  async begin(incarnation: number): Promise<void> {
    this.#incarnation = incarnation;
    const { errno } = await this.ask('HELLO', { arg: incarnation });
    if (errno) throw new Error(errno);
  }

  async hold(pid: number): Promise<number> {
    const { errno, value } = await this.ask('HOLD', { arg: pid });
    if (errno) throw new Error(errno);
    return value;
  }

  /** Has a datagram with these descriptors sent to a path in the container, as uid and gid. Its errno's name. */
  async reply(container: number, path: string, carried: readonly number[] = [], id = 0) {
    const [from, unused] = native.socketPair(SOCKET_TYPES.dgram);
    const [queue, filled] = native.socketPair(SOCKET_TYPES.dgram);
    closeSync(unused);
    const sender = new Channel(filled, true);
    sender.write(Buffer.from('datagram'), carried);
    await sender.flushed();
    const request = { container, type: SOCKET_TYPES.dgram, path, uid: id, gid: id };
    const { errno } = await this.ask('REPLY_DGRAM', request, [from, queue]);
    sender.close();
    return errno;
  }

  /** As the broker's parent does; how it ended. */
  async stop(): Promise<number | NodeJS.Signals> {
    this.#channel.close();
    closeSync(this.#relay);
    this.process.kill();
    return endOf(this.process);
  }
}
