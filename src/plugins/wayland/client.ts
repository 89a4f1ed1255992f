/**
 * A Wayland client that draws nothing: it asks the compositor for its globals, and introduces other clients to it by
 * security-context-v1 (wayland-protocols, staging). The compositor is a container's program: the length of what it
 * sends is limited, and it is trusted in nothing but what it says that it supports.
 */
import { closeAll } from '../../kernel/descriptors.js';
import { ok, type Result } from '../../kernel/result.js';
import type { Channel } from '../plugin.js';
import { ArgumentReader, request, type WaylandMessage, WaylandReader } from './messages.js';

const DISPLAY = 1;
/** Opcodes of requests and events: their positions in the protocol's description. */
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

/** Bytes of one answer; that of a large compositor has a hundred globals of 50 bytes each. */
const MAX_ANSWER = 1024 * 1024;
const ANSWER_MS = 5_000;
/** Characters of a compositor's error that are shown to people. */
const MAX_TEXT = 200;

export interface WaylandFailure {
  /** `foreign`: it does not speak Wayland. */
  readonly what: 'ended' | 'silent' | 'foreign' | 'refused';
  readonly why: string;
}

/** What the compositor is told of the clients that come by a listener. */
export interface Introduction {
  readonly engine: string;
  readonly appId: string;
  readonly instanceId: string;
  /** A listening socket, and a descriptor whose hang-up tells the compositor to stop listening. Both are taken. */
  readonly listener: number;
  readonly hangup: number;
}

export class WaylandClient {
  /** The connection has ended: by the compositor, or since it is no compositor. */
  onEnd: (() => void) | null = null;
  readonly #channel: Channel;
  readonly #reader = new WaylandReader();
  /** Ids of new objects have to be consecutive. */
  #lastId = DISPLAY;
  #registry = 0;
  /** The name (a number) of the manager's global; null: there is none. */
  #manager: number | null = null;
  #callback = 0;
  /** Bytes of the answer. */
  #heard = 0;
  #settle: ((failure: WaylandFailure | null) => void) | null = null;

  /** Takes the channel. */
  constructor(channel: Channel) {
    this.#channel = channel;
    channel.onData = (data, fds) => this.#received(data, fds);
    channel.onEnd = () => this.#end({ what: 'ended', why: 'it ended the connection' });
    channel.resume();
  }

  /** Whether the compositor supports security contexts. */
  async knowsContexts(): Promise<Result<boolean, { readonly failure: WaylandFailure }>> {
    this.#registry = ++this.#lastId;
    this.#channel.write(request(DISPLAY, GET_REGISTRY, this.#registry));
    const failure = await this.#sync();
    return failure ? { ok: false, failure } : ok(this.#manager !== null);
  }

  /** Only after `knowsContexts` was true. Every client of the listener has that context from then on. */
  async introduce(introduction: Introduction): Promise<WaylandFailure | null> {
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

  /** Resolves with null when all requests before it are answered, else with what went wrong. */
  #sync(): Promise<WaylandFailure | null> {
    this.#heard = 0;
    const why = `it did not answer within ${ANSWER_MS / 1000} s`;
    const timer = setTimeout(() => this.#end({ what: 'silent', why }), ANSWER_MS);
    return new Promise<WaylandFailure | null>((resolve) => {
      this.#settle = resolve;
      this.#callback = ++this.#lastId;
      this.#channel.write(request(DISPLAY, SYNC, this.#callback));
    }).finally(() => clearTimeout(timer));
  }

  #received(data: Buffer, fds: readonly number[]): void {
    closeAll(fds); // no event that we expect has one
    this.#heard += data.length;
    const messages = this.#heard <= MAX_ANSWER ? this.#reader.push(data) : null;
    const makesSense = messages?.every((message) => this.#read(message)) ?? false;
    if (!makesSense) this.#end({ what: 'foreign', why: 'what it says is no Wayland' });
  }

  /** False: the message is broken. Events of no interest are ignored. */
  #read({ object, opcode, body }: WaylandMessage): boolean {
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

  #answer(failure: WaylandFailure | null): void {
    this.#settle?.(failure);
    this.#settle = null;
  }

  #end(failure: WaylandFailure): void {
    this.#channel.close();
    this.#answer(failure);
    const { onEnd } = this;
    this.onEnd = null;
    onEnd?.();
  }
}
