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
import { encodeRules } from './access.js';
import { Channel } from './channel.js';
import { closeShared, closeSocket, duplicate } from './closing.js';
import { type NativeCounters, native, SOCKET_TYPES } from './native.js';
import {
  COUNTERS_LENGTH,
  type Command,
  decodeEvents,
  type EventType,
  encodeCommand,
  HELLO_FLAGS,
  LINK_FLAGS,
  LINKS_MAX,
  RELAY_VERSION,
  type RelayEvent,
  STANDING_FLAGS,
  TIMES_LENGTH,
} from './protocol.js';
import {
  MAX_MS,
  RelayLink,
  type RelayLinkEvents,
  type RelayLinkOptions,
  type Wire,
} from './relay-link.js';

/** Clients that were accepted for links that nobody has adopted yet; of more, the link that has the most loses one. */
const MAX_KEPT = 1_024;
/** What else is kept of such a link: of each connection that waits, the last word; the oldest have given up. */
const MAX_SAID = 4_096;
/** Numbers of an incarnation's transfers and the like: below those of the next one. */
const NUMBERS = 2 ** 20;

/** A link that a predecessor of this daemon made. */
export interface StandingLink {
  readonly number: number;
  /** It has a listener. */
  readonly listens: boolean;
  /** It was closed, takes no listener any more, and ends with its last connection or its drain time. */
  readonly drains: boolean;
  /** Of the last attempt to reach its provider; 0: it was reached, or nobody has tried. */
  readonly errno: number;
  readonly note: Buffer;
}

/** What happened to a link that nobody has adopted yet. There may be no graph for days, so no more of it than counts. */
class Kept {
  readonly clients: number[] = [];
  readonly #said = new Map<string, RelayEvent>();

  /** Of one kind about one connection, or about none, the last counts. */
  say(event: RelayEvent): void {
    const about = `${event.type} ${event.conn}`;
    this.#said.delete(about);
    this.#said.set(about, event);
    const [oldest] = this.#said.keys();
    if (this.#said.size > MAX_SAID) this.#said.delete(oldest as string);
  }

  get said(): readonly RelayEvent[] {
    return [...this.#said.values()];
  }
}

/** What is of use to whoever adopts the link; the rest answers what a former daemon asked. */
const KEPT_TYPES: readonly EventType[] = ['PENDING', 'UPSTREAM', 'FULL', 'GONE'];

export class Relay {
  /** The relay's own channel to the broker ended: nobody can be connected any more. */
  onBrokerLost: (() => void) | null = null;
  /** The relay ended, or was started anew: no link is there any more. Nothing else is said after it. */
  onLost: (() => void) | null = null;
  readonly #channel: Channel;
  readonly #incarnation: number;
  readonly #links = new Map<number, RelayLink>();
  /** Links that stand and that nobody has adopted; before COMPLETE, all that clients were handed of. */
  readonly #unclaimed = new Map<number, Kept>();
  #keptFds = 0;
  /** All below it are taken. 0 is no link's: it is what says that there is none. */
  #lowestFree = 1;
  #count = 0;
  #state: 'new' | 'greeting' | 'serving' | 'ended' = 'new';
  #hasLeft = false;
  readonly #standing: StandingLink[] = [];
  #greeted: ((standing: ErrnoResult<StandingLink[]>) => void) | null = null;
  #counters: NativeCounters | null = null;
  readonly #values = new Float64Array(COUNTERS_LENGTH);
  /** Null: they are not kept. */
  readonly #times: Float64Array | null;
  readonly #wire: Wire = {
    send: (command, fds) => this.#send(command, fds),
    lend: (command, fds) => this.#lend(command, fds),
    times: (link) => {
      if (!this.#counters || !this.#times) return null;
      native.timesRead(this.#counters, link, this.#times);
      return this.#times;
    },
    hasLeft: () => this.#hasLeft,
    newNumber: () =>
      ((this.#incarnation % (2 ** 32 / NUMBERS)) * NUMBERS + (++this.#count % NUMBERS)) >>> 0,
    counters: (link) => {
      if (this.#counters) native.countersRead(this.#counters, link, this.#values);
      return this.#values;
    },
  };

  /**
   * Takes the descriptor of the channel to pvx-relay. `incarnation`: the how manieth daemon uses it, from 1. `timed`:
   * how long connections wait for their provider is counted.
   */
  constructor(fd: number, options: { readonly incarnation: number; readonly timed?: boolean }) {
    this.#incarnation = options.incarnation;
    this.#times = options.timed ? new Float64Array(TIMES_LENGTH) : null;
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
    const flags = this.#times ? HELLO_FLAGS.TIMES : 0;
    this.#send({ op: 'HELLO', mode: RELAY_VERSION, conn: this.#incarnation, flags });
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
      for (const fd of kept.clients) {
        this.#keptFds--;
        this.#tell(handed(number), fd);
      }
      for (const event of kept.said) this.#tell(event, -1);
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

  /**
   * Listeners and links are a successor's from now on, who has a relay of its own: nothing of them is ended any more.
   * What clients of before still ask for is answered.
   */
  leave(): void {
    this.#hasLeft = true;
  }

  /** Leaves the channel: every link has ended for this process. The relay goes on, for our successor. */
  stop(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#channel.leave();
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
    else for (const fd of fds) closeShared(fd);
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
    const isOurs = error === RELAY_VERSION;
    if (!isOurs) this.#dropFd(fd);
    else if (fd >= 0) this.#counters = native.countersMap(fd);
    if (this.#counters) this.#state = 'greeting';
    else this.#answerHello({ ok: false, errno: isOurs && fd < 0 ? 'EMFILE' : 'EPROTO' });
  }

  #stands({ link, conn, error, data }: RelayEvent): void {
    if (this.#state !== 'greeting') return;
    const listens = (conn & STANDING_FLAGS.LISTENS) !== 0;
    const drains = (conn & STANDING_FLAGS.DRAINS) !== 0;
    this.#standing.push({ number: link, listens, drains, errno: error, note: Buffer.from(data) });
    if (!this.#unclaimed.has(link)) this.#unclaimed.set(link, new Kept());
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
    const isWanted = isServing ? this.#unclaimed.has(link) : this.#state !== 'ended';
    if (isWanted && type === 'HANDED' && fd >= 0) {
      const kept = this.#unclaimed.get(link) ?? new Kept();
      this.#unclaimed.set(link, kept);
      kept.clients.push(fd);
      if (++this.#keptFds > MAX_KEPT) this.#dropOne();
      return;
    }
    this.#dropFd(fd);
    if (isServing && KEPT_TYPES.includes(type)) this.#unclaimed.get(link)?.say(event);
    else if (type === 'GONE') this.#dropKept([link]);
  }

  /** The newest client of the link that has the most: whoever connects in a loop costs no other link its clients. */
  #dropOne(): void {
    let most: number[] = [];
    for (const { clients } of this.#unclaimed.values()) {
      if (clients.length > most.length) most = clients;
    }
    this.#keptFds--;
    this.#dropFd(most.pop() ?? -1);
  }

  #dropKept(links: readonly number[]): void {
    for (const link of links) {
      for (const fd of this.#unclaimed.get(link)?.clients ?? []) {
        this.#keptFds--;
        this.#dropFd(fd);
      }
      this.#unclaimed.delete(link);
    }
  }

  #dropFd(fd: number): void {
    if (fd >= 0) closeSocket(fd);
  }
}

function handed(link: number): RelayEvent {
  const nothing = { conn: 0, error: 0, bytes: 0, hasFd: true, data: Buffer.alloc(0) };
  return { type: 'HANDED', link, ...nothing };
}
