/**
 * A Wayland client that draws nothing: it asks what the compositor has, and introduces others to it by
 * security-context-v1 (wayland-protocols, staging). The compositor is a container's program: what it says is
 * bounded and believed in nothing but what it can do.
 */
import { closeAll } from '../../kernel/descriptors.js';
import type { Channel } from '../plugin.js';
import { ArgumentReader, type Message, MessageReader, request } from './messages.js';

const DISPLAY = 1;
/** Requests and events, by their places in the protocol's description. */
const SYNC = 0;
const GET_REGISTRY = 1;
const BIND = 0;
const CREATE_LISTENER = 1;
const SET_SANDBOX_ENGINE = 1;
const SET_APP_ID = 2;
const SET_INSTANCE_ID = 3;
const COMMIT = 4;
const ERROR = 0;
const GLOBAL = 0;
const DONE = 0;
const MANAGER_INTERFACE = 'wp_security_context_manager_v1';

/** Bytes that a compositor may say; a large one has a hundred globals of 50 bytes each, and then says little. */
const MAX_ANSWER = 1024 * 1024;
const ANSWER_MS = 5_000;
/** Of a compositor's own words in a message to people. */
const MAX_TEXT = 200;

export interface Failure {
  /** `foreign`: it does not speak Wayland. */
  readonly what: 'ended' | 'silent' | 'foreign' | 'refused';
  readonly why: string;
}

export interface Introduction {
  readonly engine: string;
  readonly appId: string;
  readonly instanceId: string;
  /** A listening socket, and a descriptor that hangs up when it is to be listened to no more. Taken. */
  readonly listener: number;
  readonly hangup: number;
}

export class WaylandClient {
  /** The compositor is gone, or has had enough of us. */
  onEnd: (() => void) | null = null;
  readonly #channel: Channel;
  readonly #reader = new MessageReader();
  /** New objects are numbered one after the other: a compositor takes no others. */
  #lastId = DISPLAY;
  #registry = 0;
  /** Name of the global. */
  #manager: number | null = null;
  #callback = 0;
  #heard = 0;
  #settle: ((failure: Failure | null) => void) | null = null;

  /** Takes the channel. */
  constructor(channel: Channel) {
    this.#channel = channel;
    channel.onData = (data, fds) => this.#received(data, fds);
    channel.onEnd = () => this.#end({ what: 'ended', why: 'it ended the connection' });
    channel.resume();
  }

  /** Whether the compositor wants to be told who its clients are. */
  async knowsContexts(): Promise<boolean | Failure> {
    this.#registry = ++this.#lastId;
    this.#channel.write(request(DISPLAY, GET_REGISTRY, this.#registry));
    const failure = await this.#sync();
    return failure ?? this.#manager !== null;
  }

  /** After `knowsContexts` said so. From then on whoever connects to the listener is who the introduction says. */
  async introduce(introduction: Introduction): Promise<Failure | null> {
    const { engine, appId, instanceId, listener, hangup } = introduction;
    const name = this.#manager ?? 0;
    const manager = ++this.#lastId;
    const context = ++this.#lastId;
    this.#channel.write(request(this.#registry, BIND, name, MANAGER_INTERFACE, 1, manager));
    this.#channel.write(request(manager, CREATE_LISTENER, context), [listener, hangup]);
    this.#channel.write(request(context, SET_SANDBOX_ENGINE, engine));
    this.#channel.write(request(context, SET_APP_ID, appId));
    this.#channel.write(request(context, SET_INSTANCE_ID, instanceId));
    this.#channel.write(request(context, COMMIT));
    return this.#sync();
  }

  close(): void {
    this.onEnd = null;
    this.#end({ what: 'ended', why: 'the link has ended' });
  }

  /** Resolves when all that was asked before is answered. */
  #sync(): Promise<Failure | null> {
    this.#heard = 0;
    const why = `it did not answer within ${ANSWER_MS / 1000} s`;
    const timer = setTimeout(() => this.#end({ what: 'silent', why }), ANSWER_MS);
    return new Promise<Failure | null>((resolve) => {
      this.#settle = resolve;
      this.#callback = ++this.#lastId;
      this.#channel.write(request(DISPLAY, SYNC, this.#callback));
    }).finally(() => clearTimeout(timer));
  }

  #received(data: Buffer, fds: readonly number[]): void {
    closeAll(fds); // none of what we ask for is answered with one
    this.#heard += data.length;
    const messages = this.#heard <= MAX_ANSWER ? this.#reader.push(data) : null;
    const makesSense = messages?.every((message) => this.#read(message)) ?? false;
    if (!makesSense) this.#end({ what: 'foreign', why: 'what it says is no Wayland' });
  }

  /** False: it makes no sense. What is of no interest is passed over. */
  #read({ object, opcode, body }: Message): boolean {
    const read = new ArgumentReader(body);
    if (object === DISPLAY && opcode === ERROR) {
      read.word(); // the object
      read.word(); // what is wrong, by that object's own list
      const text = JSON.stringify(read.text().slice(0, MAX_TEXT));
      if (!read.fault) this.#end({ what: 'refused', why: `it said: ${text}` });
    } else if (object === this.#registry && opcode === GLOBAL) {
      const name = read.word();
      if (read.text() === MANAGER_INTERFACE) this.#manager = name;
    } else if (object === this.#callback && opcode === DONE) {
      this.#answer(null);
    }
    return !read.fault;
  }

  #answer(failure: Failure | null): void {
    this.#settle?.(failure);
    this.#settle = null;
  }

  #end(failure: Failure): void {
    this.#channel.close();
    this.#answer(failure);
    const { onEnd } = this;
    this.onEnd = null;
    onEnd?.();
  }
}
