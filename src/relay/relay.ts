/**
 * The client of pvx-relay: links, whose connections that process accepts, joins and moves.
 *
 * Bytes never enter this process. A descriptor that a link takes is the relay's from the call on; one that comes out
 * (`onHanded`) is the receiver's. Commands are sent and not answered: what comes of them is said by events, in the
 * order of the commands. Counters are in memory that the relay shares, and cost nothing until they are asked for.
 *
 * Links outlive the daemon that made them. Its successor is told by `hello` which ones stand, and adopts or forgets
 * each; what happens to one of them until then is kept for whoever adopts it.
 *
 *            hello                WELCOME, a STANDING each, COMPLETE
 *     new ----------> greeting ------------------------------------> serving
 *      |                  |                                             |
 *      '------------------+------ stop, the channel's end --------------+---> ended
 *                                                                       | BORN: another relay, without our links
 */
import { type ErrnoResult, ok } from '../kernel/result.js';
import { type Access, encodeRules } from './access.js';
import { Channel } from './channel.js';
import { closeGiven, closeSocket, duplicate } from './closing.js';
import { type NativeCounters, native, SOCKET_TYPES } from './native.js';
import {
  ACCEPT_MODES,
  CLOSES,
  COMMAND_DATA_MAX,
  COUNTERS,
  COUNTERS_LENGTH,
  type Command,
  decodeEvents,
  encodeCommand,
  LINK_FLAGS,
  LINKS_MAX,
  NOTE_MAX,
  RELAY_VERSION,
  type RelayEvent,
  STANDING_FLAGS,
  TRANSFER_FLAGS,
} from './protocol.js';
import { outcomeOf, type TransferOptions, type TransferResult } from './transfer.js';

/** Where a connection to a provider leads, as far as that is another link: as native/relay/ring.h has it. */
export type Led = 'on' | 'in-ring' | 'back';
const LED: readonly (Led | undefined)[] = ['on', 'in-ring', 'back'];

/** Clients that were accepted for links that nobody has adopted yet; further ones are closed. */
const MAX_KEPT = 1_024;
const MAX_MS = 2 ** 32 - 1;
/** Numbers of an incarnation's transfers and the like: below those of the next one. */
const NUMBERS = 2 ** 20;

export interface RelayStats {
  readonly active: number;
  readonly total: number;
  readonly toProvider: number;
  readonly toConsumer: number;
  readonly closes: Readonly<Record<string, number>>;
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

/** A link that a predecessor of this daemon made. */
export interface StandingLink {
  readonly number: number;
  /** It has a listener. */
  readonly listens: boolean;
  /** Of the last attempt to reach its provider; 0: it was reached, or nobody has tried. */
  readonly errno: number;
  readonly note: Buffer;
}

/** What a link has of its relay. */
interface Wire {
  /** Takes the descriptors. */
  send(command: Command, fds?: readonly number[]): void;
  /** The descriptors stay the caller's. False: nothing was sent. */
  lend(command: Command, fds: readonly number[]): boolean;
  /** Of a connection, transfer or question of this daemon's, and of none of its predecessors'. */
  newNumber(): number;
  /** Those of a link: to be read before the next call. */
  counters(link: number): Float64Array;
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
  /** Of listeners that are being closed, in their order. */
  readonly #stops: (() => void)[] = [];
  /** It has ended: its number may be another link's. */
  #final: RelayStats | null = null;
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
   * JavaScript's. `note`: as of `note`.
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
    this.#send({ op: 'RESOLVE', conn: connection, request });
  }

  /** Takes both descriptors. `first`: what each side is sent before what the other one says. */
  join(
    consumer: number,
    provider: number,
    first: { readonly toConsumer?: Buffer; readonly toProvider?: Buffer } = {},
  ): void {
    const conn = this.#wire.newNumber();
    for (const [mode, owed] of [first.toConsumer, first.toProvider].entries()) {
      for (let at = 0; owed && at < owed.length; at += COMMAND_DATA_MAX) {
        this.#send({ op: 'OWED', conn, mode, data: owed.subarray(at, at + COMMAND_DATA_MAX) });
      }
    }
    this.#joins++;
    this.#send({ op: 'JOIN', conn }, [consumer, provider]);
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
    if (this.#final) return Promise.resolve();
    this.#send({ op: 'STOP' });
    return new Promise((resolve) => this.#stops.push(resolve));
  }

  /** Closes the listener now and what is left of the connections after `drainMs`. */
  close(drainMs: number): Promise<void> {
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

  /** As they are now; once it is gone, as they were last. */
  stats(): RelayStats {
    return this.#final ?? this.#read();
  }

  /** For Relay only. */
  deliver(event: RelayEvent, fd: number): void {
    if (event.type === 'PENDING') this.events.onPending?.(event.conn);
    else if (event.type === 'HANDED' && fd >= 0 && this.events.onHanded) this.events.onHanded(fd);
    else if (fd >= 0) closeSocket(fd);
    else if (event.type === 'UPSTREAM') this.events.onUpstream?.(event.error);
    else if (event.type === 'FULL') this.events.onFull?.();
    else if (event.type === 'STOPPED') this.#stops.shift()?.();
    else if (event.type === 'MOVED' || event.type === 'LED') this.#answers.get(event.conn)?.(event);
    else if (event.type === 'GONE') this.ended();
  }

  /** For Relay only. */
  ended(): void {
    this.#final ??= this.#read();
    for (const stopped of this.#stops.splice(0)) stopped();
    for (const answer of [...this.#answers.values()]) answer(null);
    this.#markGone();
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
    if (all[COUNTERS.links] === this.#before) all.fill(0);
    const value = (name: keyof typeof COUNTERS) => all[COUNTERS[name]] as number;
    const joining = this.#joins - value('joins');
    const closes: Record<string, number> = {};
    for (const [i, reason] of CLOSES.entries()) closes[reason] = all[COUNTERS.closes + i] as number;
    return {
      active: value('active') + joining,
      total: value('total') + joining,
      toProvider: value('toProvider'),
      toConsumer: value('toConsumer'),
      closes,
    };
  }
}

/** An event of a link that nobody has adopted yet, and its descriptor or -1. */
type Kept = readonly [event: RelayEvent, fd: number];

export class Relay {
  /** The relay's own channel to the broker ended: nobody can be connected any more. */
  onBrokerLost: (() => void) | null = null;
  /** The relay ended, or was started anew: no link is there any more. Nothing else is said after it. */
  onLost: (() => void) | null = null;
  readonly #channel: Channel;
  readonly #incarnation: number;
  readonly #links = new Map<number, RelayLink>();
  /** Links that stand and that nobody has adopted; before COMPLETE, all that clients were handed of. */
  readonly #unclaimed = new Map<number, Kept[]>();
  #keptFds = 0;
  /** All below it are taken. 0 is no link's: it is what says that there is none. */
  #lowestFree = 1;
  #count = 0;
  #state: 'new' | 'greeting' | 'serving' | 'ended' = 'new';
  readonly #standing: StandingLink[] = [];
  #greeted: ((standing: ErrnoResult<StandingLink[]>) => void) | null = null;
  #counters: NativeCounters | null = null;
  readonly #values = new Float64Array(COUNTERS_LENGTH);
  readonly #wire: Wire = {
    send: (command, fds) => this.#send(command, fds),
    lend: (command, fds) => this.#lend(command, fds),
    newNumber: () =>
      ((this.#incarnation % (2 ** 32 / NUMBERS)) * NUMBERS + (++this.#count % NUMBERS)) >>> 0,
    counters: (link) => {
      if (this.#counters) native.countersRead(this.#counters, link, this.#values);
      return this.#values;
    },
  };

  /** Takes the descriptor of the channel to pvx-relay. `incarnation`: the how manieth daemon uses it, from 1. */
  constructor(fd: number, { incarnation }: { readonly incarnation: number }) {
    this.#incarnation = incarnation;
    this.#channel = new Channel(fd, true);
    this.#channel.onData = (record, fds) => this.#received(record, fds);
    this.#channel.onTruncated = this.#channel.onData; // those that are lost had no room here: their clients end
    this.#channel.onEnd = () => this.#lose();
  }

  /**
   * To be called once, and waited for before anything else. Resolves to the links that stand: each has to be adopted or
   * forgotten. `EPROTO`: the relay is of another version. `EPIPE`: it has ended.
   */
  hello(): Promise<ErrnoResult<StandingLink[]>> {
    this.#send({ op: 'HELLO', mode: RELAY_VERSION, conn: this.#incarnation });
    return new Promise((resolve) => {
      this.#greeted = resolve;
      if (this.#state === 'ended') this.#answerHello({ ok: false, errno: 'EPIPE' });
    });
  }

  /** One more link, which listens to nobody yet; the caller closes it. Throws where there are too many. */
  link(options: RelayLinkOptions, events: RelayLinkEvents = {}): RelayLink {
    const { allowFrom, proxyProtocol } = options.access ?? {};
    const proxy = proxyProtocol === undefined ? 0 : LINK_FLAGS[`PROXY_${proxyProtocol}`];
    const data = encodeRules(allowFrom ?? []);
    const link = this.#add(this.#freeNumber(), events, true);
    this.#send({
      op: 'LINK',
      link: link.number,
      mode: SOCKET_TYPES[options.type],
      flags: (options.fds ? LINK_FLAGS.FDS : 0) | (allowFrom ? LINK_FLAGS.LIMITED : 0) | proxy,
      ms: Math.min(options.patienceMs, MAX_MS),
      most: options.maxConnections,
      other: options.consumerHandle,
      bytes: options.memory,
      data,
    });
    return link;
  }

  /** One that stands, under its number and with all that it has; what has happened to it since is said soon. */
  adopt({ number }: StandingLink, events: RelayLinkEvents = {}): RelayLink {
    const kept = this.#unclaimed.get(number);
    if (this.#state === 'ended' || !kept) throw new Error(`No link ${number} stands unclaimed.`);
    const link = this.#add(number, events, false);
    this.#unclaimed.delete(number);
    queueMicrotask(() => {
      for (const [event, fd] of kept) {
        if (fd >= 0) this.#keptFds--;
        this.#tell(event, fd);
      }
    });
    return link;
  }

  /** Ends one that stands and that nobody wants: at once, but for what is left of its connections for `drainMs`. */
  forget(standing: StandingLink, drainMs: number): Promise<void> {
    const link: RelayLink = this.adopt(standing, {
      onPending: (connection) => link.resolve(connection, null),
    });
    return link.close(drainMs);
  }

  /** Closes the channel: every link has ended for this process. The relay's own process goes on. */
  stop(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#channel.close();
    const links = [...this.#links.values()];
    this.#links.clear();
    for (const link of links) link.ended();
    this.#dropKept([...this.#unclaimed.keys()]);
    this.#answerHello({ ok: false, errno: 'EPIPE' });
  }

  #lose(): void {
    if (this.#state === 'ended') return;
    this.stop();
    this.onLost?.();
  }

  #add(number: number, events: RelayLinkEvents, isNew: boolean): RelayLink {
    const link = new RelayLink(this.#wire, number, events, isNew);
    this.#links.set(number, link);
    return link;
  }

  #freeNumber(): number {
    if (this.#state === 'ended') throw new Error('The relay has ended.');
    let number = this.#lowestFree;
    while (this.#links.has(number) || this.#unclaimed.has(number)) number++;
    if (number >= LINKS_MAX) throw new Error(`There are ${LINKS_MAX - 1} links, the most.`);
    this.#lowestFree = number + 1;
    return number;
  }

  #send(command: Command, fds: readonly number[] = []): void {
    const record = encodeCommand(command);
    if (fds.length === 0 || !this.#channel.trySend(record, fds)) this.#channel.write(record, fds);
    else for (const fd of fds) closeGiven(fd);
  }

  #lend(command: Command, fds: readonly number[]): boolean {
    const record = encodeCommand(command);
    if (this.#channel.trySend(record, fds)) return true;
    const own = this.#channel.fd < 0 ? null : duplicate(fds);
    if (own) this.#channel.write(record, own);
    return own !== null;
  }

  #received(record: Buffer, fds: readonly number[]): void {
    const events = decodeEvents(record);
    let taken = 0;
    for (const event of events ?? []) this.#take(event, event.hasFd ? (fds[taken++] ?? -1) : -1);
    for (const fd of fds.slice(taken)) closeSocket(fd);
    if (!events) this.#lose();
  }

  /** Takes the descriptor. */
  #take(event: RelayEvent, fd: number): void {
    if (event.type === 'WELCOME') this.#welcome(event, fd);
    else if (this.#state === 'ended' || event.type === 'BORN') this.#dropFd(fd);
    else if (event.type === 'BROKER') this.onBrokerLost?.();
    else if (event.type === 'STANDING') this.#stands(event);
    else if (event.type === 'COMPLETE') this.#complete(event);
    else this.#tell(event, fd);
    if (event.type === 'BORN') this.#born();
  }

  /** A relay that has just begun: what was said before it is of links that ended with another one. */
  #born(): void {
    if (this.#counters) this.#lose();
    else this.#dropKept([...this.#unclaimed.keys()]);
  }

  #welcome({ conn, error }: RelayEvent, fd: number): void {
    if (this.#state !== 'new' || conn !== this.#incarnation) {
      this.#dropFd(fd);
      return;
    }
    if (error !== RELAY_VERSION) this.#dropFd(fd);
    else if (fd >= 0) this.#counters = native.countersMap(fd);
    if (this.#counters) this.#state = 'greeting';
    else this.#answerHello({ ok: false, errno: fd < 0 ? 'EMFILE' : 'EPROTO' });
  }

  #stands({ link, conn, error, data }: RelayEvent): void {
    if (this.#state !== 'greeting') return;
    const listens = (conn & STANDING_FLAGS.LISTENS) !== 0;
    this.#standing.push({ number: link, listens, errno: error, note: Buffer.from(data) });
    if (!this.#unclaimed.has(link)) this.#unclaimed.set(link, []);
  }

  #complete({ conn }: RelayEvent): void {
    if (this.#state !== 'greeting' || conn !== this.#incarnation) return;
    this.#state = 'serving';
    const standing = new Set(this.#standing.map(({ number }) => number));
    this.#dropKept([...this.#unclaimed.keys()].filter((number) => !standing.has(number)));
    this.#answerHello(ok(this.#standing));
  }

  #answerHello(answer: ErrnoResult<StandingLink[]>): void {
    this.#greeted?.(answer);
    this.#greeted = null;
  }

  /** Takes the descriptor. A bug in one receiver is thrown elsewhere; the others still get theirs. */
  #tell(event: RelayEvent, fd: number): void {
    const link = this.#links.get(event.link);
    if (!link) {
      this.#keep(event, fd);
      return;
    }
    if (event.type === 'GONE') {
      this.#links.delete(event.link);
      this.#lowestFree = Math.min(this.#lowestFree, event.link);
    }
    try {
      link.deliver(event, fd);
    } catch (thrown) {
      queueMicrotask(() => {
        throw thrown;
      });
    }
  }

  /** For who adopts the link. Before it is known which ones stand, STANDING will say all but who was handed. */
  #keep(event: RelayEvent, fd: number): void {
    const { link, type } = event;
    const isServing = this.#state === 'serving';
    const kept = this.#unclaimed.get(link) ?? [];
    const isWanted = isServing
      ? this.#unclaimed.has(link)
      : this.#state !== 'ended' && type === 'HANDED';
    if (isWanted && (fd < 0 || this.#keptFds < MAX_KEPT)) {
      if (fd >= 0) this.#keptFds++;
      kept.push([event, fd]);
      this.#unclaimed.set(link, kept);
    } else {
      this.#dropFd(fd);
      if (type === 'GONE' && !isServing) this.#dropKept([link]);
    }
  }

  #dropKept(links: readonly number[]): void {
    for (const link of links) {
      for (const [, fd] of this.#unclaimed.get(link) ?? []) {
        if (fd >= 0) this.#keptFds--;
        this.#dropFd(fd);
      }
      this.#unclaimed.delete(link);
    }
  }

  #dropFd(fd: number): void {
    if (fd >= 0) closeSocket(fd);
  }
}

function noteOf(note: Buffer): Buffer {
  return note.length > NOTE_MAX ? Buffer.alloc(0) : note;
}

/** As the relay has it: 0 is for ever. */
function patience(ms: number): number {
  return ms > MAX_MS ? 0 : ms;
}
