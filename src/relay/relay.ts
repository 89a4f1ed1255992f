/**
 * The relay, typed: links whose connections are joined and moved by one native thread.
 *
 * Bytes never enter JavaScript here. A descriptor handed in is the relay's from the call on; one that comes
 * out (`onHanded`) is the receiver's. Counters are read when asked for and cost nothing until then.
 */
import { type Access, encodeRules } from './access.js';
import { type Closing, closeSocket } from './closing.js';
import {
  ACCEPT_MODES,
  type NativeEvent,
  type NativeLink,
  type NativeStats,
  native,
  SOCKET_TYPES,
} from './native.js';
import { outcomeOf, type TransferOptions, type TransferResult } from './transfer.js';

export type RelayStats = NativeStats;

const NOTHING = Buffer.alloc(0);

/** Where a connection to a provider leads, as far as that is another link: as native/addon/relay-ring.h has it. */
export type Led = 'on' | 'in-ring' | 'back';
const LED = ['on', 'in-ring', 'back'] as const;

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
  /** On whose account what its ends send is closed; absent: nobody's in particular. */
  readonly closing?: Closing;
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

export class RelayLink {
  readonly events: RelayLinkEvents;
  /** Resolves when the listener and every connection are gone. */
  readonly gone: Promise<void>;
  readonly #native: NativeLink;
  readonly #transfers = new Map<number, (result: TransferResult) => void>();
  #lastTransfer = 0;
  #isGone = false;
  #markGone!: () => void;
  /** Of listeners that are being closed, in their order. */
  readonly #stops: (() => void)[] = [];

  constructor(link: NativeLink, events: RelayLinkEvents) {
    this.#native = link;
    this.events = events;
    this.gone = new Promise((resolve) => {
      this.#markGone = resolve;
    });
  }

  /**
   * Takes the listener. `forward`: connections go to `upstream` (a request of broker/protocol.ts; null: they
   * wait for `retarget`). `ask`: each goes where `resolve` says. `hand`: each becomes JavaScript's.
   */
  listen(listener: number, mode: keyof typeof ACCEPT_MODES, upstream: Buffer | null): void {
    native.linkListen(this.#native, listener, ACCEPT_MODES[mode], upstream);
  }

  /** Where new connections, and those that wait, go from now on; null: they wait. */
  retarget(upstream: Buffer | null): void {
    native.linkRetarget(this.#native, upstream);
  }

  /** Answers `onPending`; null refuses the connection. */
  resolve(connection: number, request: Buffer | null): void {
    native.linkResolve(this.#native, connection, request);
  }

  /** Takes both descriptors. `first`: what each side is sent before what the other one says. */
  join(
    consumer: number,
    provider: number,
    first: { readonly toConsumer?: Buffer; readonly toProvider?: Buffer } = {},
  ): void {
    const { toConsumer = NOTHING, toProvider = NOTHING } = first;
    native.linkJoin(this.#native, consumer, provider, toConsumer, toProvider);
  }

  /**
   * Moves bytes once from one descriptor to another, both the caller's before and after: it keeps its hands off
   * the source's reading and the sink's writing until this resolves. Never rejects. Only on a link without `fds`.
   */
  transfer(source: number, sink: number, options: TransferOptions): Promise<TransferResult> {
    const { bytes, to, end = false, signal } = options;
    const { idleMs = 0, silenceMs = idleMs } = options;
    if (this.#isGone || signal?.aborted) return Promise.resolve({ moved: 0, outcome: 'cancelled' });
    if (bytes === 0) return Promise.resolve({ moved: 0, outcome: 'all' });
    const number = ++this.#lastTransfer;
    const cancel = () => native.linkCancel(this.#native, number);
    return new Promise((resolve) => {
      const errno = native.linkTransfer(
        ...([this.#native, number, source, sink, bytes, to === 'provider', end] as const),
        ...([idleMs, silenceMs].map(patience) as [number, number]),
      );
      if (errno !== 0) {
        resolve({ moved: 0, outcome: 'cancelled' });
        return;
      }
      signal?.addEventListener('abort', cancel);
      this.#transfers.set(number, (result) => {
        signal?.removeEventListener('abort', cancel);
        resolve(result);
      });
    });
  }

  /** Closes the listener; connections go on, and it may take another one. Resolves when its address is free. */
  stop(): Promise<void> {
    if (this.#isGone) return Promise.resolve();
    native.linkStopListening(this.#native);
    return new Promise((resolve) => this.#stops.push(resolve));
  }

  /** Closes the listener now and what is left of the connections after `drainMs`. */
  close(drainMs: number): Promise<void> {
    native.linkClose(this.#native, Math.min(drainMs, 2 ** 32 - 1));
    return this.gone;
  }

  /** For Relay only: before `listen`. */
  restrict({ allowFrom, proxyProtocol }: Access): void {
    const rules = encodeRules(allowFrom ?? []);
    native.linkRestrict(this.#native, allowFrom !== undefined, rules, proxyProtocol ?? 0);
  }

  /**
   * A connection that is not the relay's own has reached the provider of this link, which is served on `listener`.
   * `in-ring`: there is no end behind it; `back`: it leads to that listener again, and is to be closed at once. The
   * descriptor stays the caller's.
   */
  led(fd: number, listener: RelayLink = this): Led {
    return LED[native.linkLed(this.#native, listener.#native, fd)];
  }

  stats(): RelayStats {
    return native.linkStats(this.#native);
  }

  /** For Relay only. */
  deliver(event: NativeEvent): void {
    if (event.type === 'pending') this.events.onPending?.(event.conn);
    else if (event.type === 'handed' && this.events.onHanded) this.events.onHanded(event.fd);
    else if (event.type === 'handed') closeSocket(event.fd);
    else if (event.type === 'upstream') this.events.onUpstream?.(event.errno);
    else if (event.type === 'full') this.events.onFull?.();
    else if (event.type === 'stopped') this.#stops.shift()?.();
    else if (event.type === 'moved') this.#moved(event.conn, event.bytes, event.errno);
    else this.ended();
  }

  #moved(number: number, moved: number, outcome: number): void {
    const resolve = this.#transfers.get(number);
    this.#transfers.delete(number);
    resolve?.({ moved, outcome: outcomeOf(outcome) });
  }

  /** For Relay only. */
  ended(): void {
    this.#isGone = true;
    for (const stopped of this.#stops.splice(0)) stopped();
    for (const number of [...this.#transfers.keys()]) this.#moved(number, 0, -1);
    this.#markGone();
  }
}

export class Relay {
  /** The relay's own channel to the broker ended: nobody can be connected any more. */
  onBrokerLost: (() => void) | null = null;
  readonly #native;
  readonly #links = new Map<number, RelayLink>();
  #next = 0;

  /** Takes the descriptor of the channel to the broker; -1: there is none, and only `join` works. */
  constructor(brokerFd: number) {
    this.#native = native.relayStart(brokerFd, (events) => {
      for (const event of events) {
        try {
          this.#deliver(event);
        } catch (thrown) {
          // A bug in one receiver; the others still get theirs, descriptors among them.
          queueMicrotask(() => {
            throw thrown;
          });
        }
      }
    });
  }

  /** One more link, which listens to nobody yet; the caller closes it. Throws where there is no memory. */
  link(options: RelayLinkOptions, events: RelayLinkEvents = {}): RelayLink {
    const number = ++this.#next;
    const link = new RelayLink(
      native.linkNew(
        this.#native,
        number,
        SOCKET_TYPES[options.type],
        options.fds,
        options.patienceMs,
        options.maxConnections,
        options.consumerHandle,
        options.closing,
        options.memory,
      ),
      events,
    );
    this.#links.set(number, link);
    if (options.access) link.restrict(options.access);
    return link;
  }

  /** Closes everything at once. Descriptors that come to its links after this are closed. */
  stop(): void {
    native.relayStop(this.#native);
    const links = [...this.#links.values()];
    this.#links.clear();
    for (const link of links) link.ended();
  }

  #deliver(event: NativeEvent): void {
    if (event.type === 'broker') {
      this.onBrokerLost?.();
      return;
    }
    const link = this.#links.get(event.link);
    if (event.type === 'gone') this.#links.delete(event.link);
    if (link) link.deliver(event);
    else if (event.fd >= 0) closeSocket(event.fd);
  }
}

/** As the native side has it: 0 is for ever. */
function patience(ms: number): number {
  return ms >= 2 ** 32 ? 0 : ms;
}
