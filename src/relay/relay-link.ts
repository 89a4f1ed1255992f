/**
 * One link of pvx-relay, as this process has it: what can be asked of it, and what it says. relay.ts makes them.
 *
 * A descriptor that it takes is the relay's from the call on; one that comes out (`onHanded`) is the receiver's.
 */
import { DrainBarrier, drainThenClose } from '../kernel/drain.js';
import type { Durations } from '../kernel/durations.js';
import type { Access } from './access.js';
import { closeSocket } from './closing.js';
import { LinkTap } from './link-tap.js';
import { native, SOCKET_TYPES } from './native.js';
import {
  ACCEPT_MODES,
  CLOSES,
  COMMAND_DATA_MAX,
  COUNTERS,
  type Command,
  decodeOpen,
  FAULT_FLAGS,
  LABEL_MAX,
  NOTE_MAX,
  type OpenRecord,
  type RelayEvent,
  type TappedRecord,
  TIMES_LENGTH,
  TRANSFER_FLAGS,
} from './protocol.js';
import { outcomeOf, type TransferOptions, type TransferResult } from './transfer.js';

/** Where a connection to a provider leads, as far as that is another link: as `enum pvx_ring` numbers it. */
export type Led = 'on' | 'in-ring' | 'back';
const LED: readonly (Led | undefined)[] = ['on', 'in-ring', 'back'];

/** The longest time that a command can say, in milliseconds. */
export const MAX_MS = 2 ** 32 - 1;

export interface RelayStats {
  readonly active: number;
  readonly total: number;
  readonly toProvider: number;
  readonly toConsumer: number;
  readonly closes: Readonly<Record<string, number>>;
  /** How long connections waited for their provider; absent: nobody wants to know. */
  readonly connectTimes?: Durations;
}

export interface RelayLinkOptions {
  readonly type: keyof typeof SOCKET_TYPES;
  /** false: bytes only, spliced. */
  readonly fds: boolean;
  /** How long a connection waits for its provider, in milliseconds. */
  readonly patienceMs: number;
  /** Further connections wait in the backlog. */
  readonly maxConnections: number;
  /**
   * Bytes of kernel memory that its connections may hold for receivers that do not read. Over half of it they hold next
   * to nothing more each, over all of it further connections wait in the backlog.
   */
  readonly memory: number;
  /** Broker handle of the consumer, for datagram replies; 0: none. */
  readonly consumerHandle: number;
  /** Absent: everybody may connect, and nobody is announced. */
  readonly access?: Access;
}

export interface RelayLinkEvents {
  /** mode `ask`: a connection waits for `resolve`. */
  onPending?(connection: number): void;
  /** mode `hand`: an accepted client, the receiver's. */
  onHanded?(fd: number): unknown;
  /** Reaching the provider began to fail with this errno, or (0) began to work. */
  onUpstream?(errno: number): void;
  /** It holds all the memory that it may, and accepts nobody for now; said at most every 10 minutes. */
  onFull?(): void;
}

/** What FAULT of native/relay-protocol.h says. */
export interface RelayFault {
  readonly delayMs: number;
  readonly rate: number;
  readonly refuse: boolean;
  readonly resets: Uint32Array;
}

/** Why a connection ended, and how it was. */
export type OnEnded = (record: OpenRecord, reason: (typeof CLOSES)[number]) => void;

/** What a link has of its relay. */
export interface Wire {
  /** Takes the descriptors. */
  send(command: Command, fds?: readonly number[]): void;
  /** The descriptors stay the caller's. False: nothing was sent. */
  lend(command: Command, fds: readonly number[]): boolean;
  /** Its listeners and links are another one's, see Relay. */
  hasLeft(): boolean;
  /** Of a connection, transfer or question of this daemon's, and of none of its predecessors'. */
  newNumber(): number;
  /** Those of a link: to be read before the next call. */
  counters(link: number): Float64Array;
  /** Null: they are not kept. */
  times(link: number): Float64Array | null;
}

export class RelayLink {
  readonly number: number;
  readonly events: RelayLinkEvents;
  /** Resolves when the listener and every connection are gone. */
  readonly gone: Promise<void>;
  readonly #wire: Wire;
  /** What the counters say of LINK as long as the relay has not come to ours. Null: it has. */
  readonly #before: number | null;
  /** JOIN commands, sent. */
  #joins: number;
  /** Of transfers and questions that are under way. */
  readonly #answers = new Map<number, (answer: RelayEvent | null) => void>();
  /** Connections that wait for `resolve`. */
  readonly #pending = new Set<number>();
  readonly #answered = new DrainBarrier(() => this.#pending.size === 0);
  /** Of listeners that are being closed, in their order. */
  readonly #stops: (() => void)[] = [];
  /** It has ended: its number may be another link's. */
  #final: RelayStats | null = null;
  readonly #watchers = new Set<OnEnded>();
  #markGone!: () => void;

  /** For Relay only. `isNew`: before its LINK is sent. */
  constructor(wire: Wire, number: number, events: RelayLinkEvents, isNew: boolean) {
    this.#wire = wire;
    this.number = number;
    this.events = events;
    const counters = wire.counters(number);
    this.#before = isNew ? (counters[COUNTERS.links] as number) : null;
    this.#joins = isNew ? 0 : (counters[COUNTERS.joins] as number);
    this.gone = new Promise((resolve) => {
      this.#markGone = resolve;
    });
  }

  /**
   * Takes the listener, in place of one that it has. `forward`: connections go to `upstream` (a request of
   * broker/protocol.ts; null: they wait for `retarget`). `ask`: each goes where `resolve` says. `hand`: each becomes
   * ours. `note`: as of `note`.
   */
  listen(
    listener: number,
    mode: keyof typeof ACCEPT_MODES,
    upstream: Buffer | null,
    note: Buffer = Buffer.alloc(0),
  ): void {
    const says = { mode: ACCEPT_MODES[mode], request: upstream, data: noteOf(note) };
    this.#send({ op: 'LISTEN', ...says }, [listener]);
  }

  /**
   * What a successor of this daemon is told of the link. One of more than NOTE_MAX bytes is as good as none: the link
   * can't be adopted then, and is made anew.
   */
  note(note: Buffer): void {
    this.#send({ op: 'NOTE', data: noteOf(note) });
  }

  /** Where new connections, and those that wait, go from now on; null: they wait. */
  retarget(upstream: Buffer | null): void {
    this.#send({ op: 'RETARGET', request: upstream });
  }

  /** Answers `onPending`; null refuses the connection. */
  resolve(connection: number, request: Buffer | null): void {
    this.#pending.delete(connection);
    this.#answered.check();
    this.#send({ op: 'RESOLVE', conn: connection, request });
  }

  /**
   * Takes both descriptors. `first`: what each side is sent before what the other one says. `label`: for `connections`;
   * one of more than LABEL_MAX bytes is none.
   */
  join(
    consumer: number,
    provider: number,
    first: { readonly toConsumer?: Buffer; readonly toProvider?: Buffer } = {},
    label = '',
  ): void {
    const conn = this.#wire.newNumber();
    for (const [mode, owed] of [first.toConsumer, first.toProvider].entries()) {
      for (let at = 0; owed && at < owed.length; at += COMMAND_DATA_MAX) {
        this.#send({ op: 'OWED', conn, mode, data: owed.subarray(at, at + COMMAND_DATA_MAX) });
      }
    }
    this.#joins++;
    const data = Buffer.from(label);
    const labelled = data.length > LABEL_MAX ? {} : { data };
    this.#send({ op: 'JOIN', conn, ...labelled }, [consumer, provider]);
  }

  /**
   * Moves bytes once from one descriptor to another, both the caller's before and after: it keeps its hands off
   * the source's reading and the sink's writing until this resolves. Never rejects. Only on a link without `fds`.
   */
  async transfer(source: number, sink: number, options: TransferOptions): Promise<TransferResult> {
    const { bytes, to, end = false, signal } = options;
    const { idleMs = 0, silenceMs = idleMs } = options;
    if (this.#final || signal?.aborted) return { moved: 0, outcome: 'cancelled' };
    if (bytes === 0) return { moved: 0, outcome: 'all' };
    const flags =
      (to === 'provider' ? TRANSFER_FLAGS.TO_PROVIDER : 0) | (end ? TRANSFER_FLAGS.END : 0);
    const times = { ms: patience(idleMs), other: patience(silenceMs) };
    const moving = this.#ask({ op: 'TRANSFER', bytes, flags, ...times }, [source, sink]);
    const cancel = () => this.#send({ op: 'CANCEL', conn: moving.number });
    signal?.addEventListener('abort', cancel);
    const moved = await moving.answer;
    signal?.removeEventListener('abort', cancel);
    return { moved: moved?.bytes ?? 0, outcome: outcomeOf(moved?.error ?? -1) };
  }

  /** Closes the listener; connections go on, and it may take another one. Resolves when its address is free. */
  stop(): Promise<void> {
    if (this.#final || this.#wire.hasLeft()) return Promise.resolve();
    this.#send({ op: 'STOP' });
    return new Promise((resolve) => this.#stops.push(resolve));
  }

  /**
   * Closes the listener now and what is left of the connections after `drainMs`. Where that is a successor's, it only
   * resolves when those who wait for `resolve` have an answer, or after `drainMs`.
   */
  close(drainMs: number): Promise<void> {
    if (this.#wire.hasLeft()) {
      return drainThenClose(
        drainMs,
        () => this.#answered.drained(),
        () => {
          this.#pending.clear();
          this.#answered.check();
        },
      );
    }
    this.#send({ op: 'CLOSE', ms: Math.min(drainMs, MAX_MS) });
    return this.gone;
  }

  /**
   * A connection that is not the relay's own has reached the provider of this link, which is served on `listener`.
   * `in-ring`: there is no end behind it; `back`: it leads to that listener again, and is to be closed at once. The
   * descriptor stays the caller's. Never rejects.
   */
  async led(fd: number, listener: RelayLink = this): Promise<Led> {
    if (this.#final) return 'on';
    const led = await this.#ask({ op: 'LED', other: listener.number }, [fd]).answer;
    return LED[led?.error ?? 0] ?? 'on';
  }

  /** Those that there are, by their numbers; none where it is gone. Never rejects. */
  async connections(): Promise<OpenRecord[]> {
    const all: OpenRecord[] = [];
    for (let after = 0; !this.#final; after = all[all.length - 1]?.conn ?? 0) {
      const page = await this.#ask({ op: 'LIST', other: after }, []).answer;
      if (page) all.push(...decodeOpen(page.data));
      if (page?.error !== 1) break;
    }
    return all;
  }

  /** Tells of each connection that ends, until the returned function is called. */
  watch(onEnded: OnEnded): () => void {
    this.#watchers.add(onEnded);
    if (this.#watchers.size === 1) this.#send({ op: 'WATCH', mode: 1 });
    return () => {
      if (this.#watchers.delete(onEnded) && this.#watchers.size === 0) {
        this.#send({ op: 'WATCH', mode: 0 });
      }
    };
  }

  /** Tells of what passes from now on, until the tap is ended. There is one at a time: the one before it ends. */
  tap(onTapped: (record: TappedRecord) => void): LinkTap {
    const [own, relays] = native.socketPair(SOCKET_TYPES.seqpacket);
    this.#send({ op: 'TAP' }, [relays]);
    const stop = async () => {
      const stopped = this.#final ? null : await this.#ask({ op: 'UNTAP' }, []).answer;
      return stopped?.bytes ?? 0;
    };
    return new LinkTap(own, onTapped, stop);
  }

  /** As `enum pvx_relay_op` has FAULT, until the returned function is called. The one before it ends. */
  fault({ delayMs, rate, refuse, resets }: RelayFault): () => void {
    const [own, relays] = native.socketPair(SOCKET_TYPES.seqpacket);
    const data = Buffer.from(resets.buffer, resets.byteOffset, resets.byteLength);
    const says = { ms: delayMs, bytes: rate, flags: refuse ? FAULT_FLAGS.REFUSE : 0, data };
    this.#send({ op: 'FAULT', ...says }, [relays]);
    let ended = false;
    return () => {
      if (!ended) closeSocket(own);
      ended = true;
    };
  }

  /** As they are now; once it is gone, as they were last. */
  stats(): RelayStats {
    return this.#final ?? this.#read();
  }

  /** For Relay only. */
  deliver(event: RelayEvent, fd: number): void {
    if (event.type === 'PENDING') this.#asked(event.conn);
    else if (event.type === 'HANDED' && fd >= 0 && this.events.onHanded) this.events.onHanded(fd);
    else if (fd >= 0) closeSocket(fd);
    else if (event.type === 'UPSTREAM') this.events.onUpstream?.(event.error);
    else if (event.type === 'FULL') this.events.onFull?.();
    else if (event.type === 'STOPPED') this.#stops.shift()?.();
    else if (isAnswer(event)) this.#answers.get(event.conn)?.(event);
    else if (event.type === 'ENDED') this.#tell(event);
    else if (event.type === 'GONE') this.ended();
  }

  /** For Relay only. */
  ended(): void {
    this.#final ??= { ...this.#read(), active: 0 };
    for (const stopped of this.#stops.splice(0)) stopped();
    for (const answer of [...this.#answers.values()]) answer(null);
    this.#pending.clear();
    this.#answered.check();
    this.#markGone();
  }

  #tell({ data, error }: RelayEvent): void {
    for (const record of decodeOpen(data)) {
      for (const watcher of [...this.#watchers]) watcher(record, CLOSES[error] ?? 'error');
    }
  }

  #asked(connection: number): void {
    if (!this.events.onPending) return;
    this.#pending.add(connection);
    this.events.onPending(connection);
  }

  /** Takes the descriptors. Once the link is gone its number may be another one's, and nothing is sent. */
  #send(command: Command, fds: readonly number[] = []): void {
    if (!this.#final) this.#wire.send({ ...command, link: this.number }, fds);
    else for (const fd of fds) closeSocket(fd);
  }

  /** The descriptors stay the caller's. Null: it could not be asked, or the link has gone without an answer. */
  #ask(
    command: Command,
    fds: readonly number[],
  ): { readonly number: number; readonly answer: Promise<RelayEvent | null> } {
    let number: number;
    do number = this.#wire.newNumber();
    while (this.#answers.has(number));
    if (!this.#wire.lend({ ...command, link: this.number, conn: number }, fds)) {
      return { number, answer: Promise.resolve(null) };
    }
    const answer = new Promise<RelayEvent | null>((resolve) => {
      this.#answers.set(number, (event) => {
        this.#answers.delete(number);
        resolve(event);
      });
    });
    return { number, answer };
  }

  /** With connections whose JOIN is on its way: the next one may be one too many. */
  #read(): RelayStats {
    const all = this.#wire.counters(this.number);
    const isBefore = all[COUNTERS.links] === this.#before;
    if (isBefore) all.fill(0);
    const value = (name: keyof typeof COUNTERS) => all[COUNTERS[name]] as number;
    const joining = (this.#joins - value('joins')) % 2 ** 32;
    const closes: Record<string, number> = {};
    for (const [i, reason] of CLOSES.entries()) closes[reason] = all[COUNTERS.closes + i] as number;
    return {
      active: value('active') + joining,
      total: value('total') + this.#joins,
      toProvider: value('toProvider'),
      toConsumer: value('toConsumer'),
      closes,
      ...durationsOf(isBefore ? null : this.#wire.times(this.number)),
    };
  }
}

function durationsOf(times: Float64Array | null): Pick<RelayStats, 'connectTimes'> {
  if (!times) return {};
  const sum = TIMES_LENGTH - 1;
  const milliseconds = (times[sum] as number) / 1_000;
  return { connectTimes: { counts: [...times.subarray(0, sum)], milliseconds } };
}

function noteOf(note: Buffer): Buffer {
  return note.length > NOTE_MAX ? Buffer.alloc(0) : note;
}

/** As the relay has it: 0 is for ever. */
function patience(ms: number): number {
  return ms > MAX_MS ? 0 : ms;
}

function isAnswer({ type }: RelayEvent): boolean {
  return type === 'MOVED' || type === 'LED' || type === 'LISTED' || type === 'UNTAPPED';
}
