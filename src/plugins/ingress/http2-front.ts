/**
 * HTTP/2 on connections whose TLS handshake chose it: sessions of Node.js, in which each stream is one exchange.
 *
 * The streams of an address are counted together, since streams are what costs memory. When there are `limits.streams`,
 * each connection may still have a few, so that a client with many leaves some for the others. A session ends with its
 * socket (relay/watched-socket.ts). One in which nothing moves for as long as a connection may be idle is ended, unless
 * one of its exchanges waits: those have limits of their own.
 */
import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { deadlines, LINE_SHOWN, type Limits, type Site, type Timed } from '../../http1/index.js';
import { DrainBarrier, graceIn } from '../../kernel/drain.js';
import { FairQueue } from './fair-queue.js';
import { Http2Exchange } from './http2-exchange.js';

/** Requests of one connection at once. */
const MAX_STREAMS = 100;
/** So many requests of a connection are never refused. */
const FEW_STREAMS = 4;
/** What each field counts beside its bytes (RFC 9113, 6.5.2); `limits.head` counts bytes only. */
const FIELD_COST = 32;
/** Fields beyond `limits.fields`: pseudo-headers, and the parts of a Cookie. */
const MORE_FIELDS = 32;
const END_STREAM = 0x1; // flag of HEADERS, RFC 9113, 6.2

/** The arguments of the event 'stream'; the types of Node.js lack the last one. */
type StreamArguments = [
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
];

export class Http2Front<Description> {
  readonly #site: Site<Description>;
  /** The eldest first. */
  readonly #sessions = new Set<ClientSession<Description>>();
  readonly #begins = new FairQueue();
  readonly #barrier = new DrainBarrier(() => this.#sessions.size === 0);
  /** Open streams of all sessions. */
  streams = 0;
  /** How long it may take to leave; null: it does not. */
  #drainMs: number | null = null;
  #server: Http2Server | null = null;
  #limits: Limits | null = null;
  /** The connection whose session is being made. */
  #made: {
    readonly socket: TLSSocket;
    readonly description: Description;
    session: ClientSession<Description> | null;
  } | null = null;

  constructor(site: Site<Description>) {
    this.#site = site;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get limits(): Limits {
    return this.#site.limits;
  }

  /** Takes the socket. Null: no session could be made of it. */
  accept(socket: TLSSocket, description: Description): ClientSession<Description> | null {
    this.#made = { socket, description, session: null }; // 'session' follows at once, within the next call
    this.#serverOf(this.#site.limits).emit('connection', socket);
    const { session } = this.#made;
    this.#made = null;
    return session;
  }

  /**
   * Ends each session when it has been idle for a moment, or has had half of `drainMs`; new ones too. Resolves when no
   * session is left.
   */
  leave(drainMs: number): Promise<void> {
    this.#drainMs = drainMs;
    for (const session of this.#sessions) session.leaveWithin(drainMs);
    return this.#barrier.drained();
  }

  /** Ends every session at once. */
  close(): void {
    for (const session of this.#sessions) session.end();
  }

  /** Ends one session without streams. False: there is none. */
  dismissIdle(): boolean {
    for (const session of this.#sessions) {
      if (session.streams > 0 || session.leaving) continue;
      session.leave();
      return true;
    }
    return false;
  }

  /** Makes an exchange of a stream; it begins in its turn. */
  ask(
    session: ClientSession<Description>,
    [stream, headers, flags, rawHeaders]: StreamArguments,
    description: Description,
  ): Http2Exchange {
    const exchange = new Http2Exchange(stream, headers, (flags & END_STREAM) !== 0);
    this.#begins.take(session, () => {
      if (!stream.destroyed) exchange.begin(rawHeaders, this.#site, description);
    });
    return exchange;
  }

  gone(session: ClientSession<Description>, description: Description): void {
    this.#sessions.delete(session);
    this.#site.left?.(description);
    this.#begins.forget(session);
    this.#barrier.check();
  }

  /** Limits of heads are settings of a server of Node.js: when the links change the limits, another server is made. */
  #serverOf(limits: Limits): Http2Server {
    if (this.#server && this.#limits === limits) return this.#server;
    const { head, fields } = limits;
    const server = createServer({
      settings: {
        maxConcurrentStreams: MAX_STREAMS,
        maxHeaderListSize: head + FIELD_COST * (fields + MORE_FIELDS),
      },
      maxHeaderListPairs: fields + MORE_FIELDS,
    });
    server.on('session', (session) => {
      if (!this.#made) return;
      const { socket, description } = this.#made;
      const made = new ClientSession(session, this, socket, description);
      this.#made.session = made;
      this.#sessions.add(made);
      if (this.#drainMs !== null) made.leaveWithin(this.#drainMs);
    });
    this.#server = server;
    this.#limits = limits;
    return server;
  }
}

class ClientSession<Description> implements Timed {
  deadline = Number.POSITIVE_INFINITY;
  leaving = false;
  readonly #exchanges = new Set<Http2Exchange>();
  readonly #session: ServerHttp2Session;
  readonly #front: Http2Front<Description>;
  readonly #socket: TLSSocket;
  readonly #description: Description;
  /** Bytes in both directions at the last look. */
  #moved = 0;
  /** Requests so far. */
  #asks = 0;
  #last: IncomingHttpHeaders | null = null;
  /** It is to leave when it is idle: looked at so often, and requests as of the last look; it leaves by that time. */
  #waiting: { readonly graceMs: number; readonly by: number; asks: number } | null = null;

  constructor(
    session: ServerHttp2Session,
    front: Http2Front<Description>,
    socket: TLSSocket,
    description: Description,
  ) {
    this.#session = session;
    this.#front = front;
    this.#socket = socket;
    this.#description = description;
    session.on('error', () => session.destroy());
    session.once('close', () => {
      deadlines.remove(this);
      front.gone(this, description);
    });
    session.on('stream', (...asked: StreamArguments) => this.#asked(asked));
    deadlines.add(this);
    deadlines.within(this, front.limits.idleMs);
  }

  /** Method and target. */
  get lastRequest(): string | null {
    return this.#last && `${this.#last[':method']} ${this.#last[':path']}`.slice(0, LINE_SHOWN);
  }

  get bytes(): { readonly in: number; readonly out: number } {
    const { bytesRead, bytesWritten } = this.#socket;
    return { in: bytesRead, out: bytesWritten };
  }

  /** Takes no more requests, and ends with the last one under way. */
  leave(): void {
    this.leaving = true;
    this.#session.close();
  }

  /**
   * The same once it is idle. Its client may be about to send a request: not every one of them sends a request again
   * that crosses a GOAWAY (RFC 9113, 6.8).
   */
  leaveWithin(drainMs: number): void {
    const graceMs = graceIn(drainMs);
    if (graceMs === 0) this.leave();
    if (this.leaving || this.#waiting) return;
    this.#waiting = { graceMs, by: performance.now() + drainMs / 2, asks: this.#asks };
    deadlines.within(this, graceMs);
  }

  end(): void {
    this.#session.destroy();
    this.#socket.destroy(); // else what is unsent would be waited for
  }

  /** Looks whether anything has moved since the last look; if not, the session ends. */
  expired(): void {
    if (this.#session.destroyed) return;
    if (this.#waiting && !this.leaving) {
      this.#leaveIfIdle(this.#waiting);
      return;
    }
    const moved = this.bytes.in + this.bytes.out;
    const idle = moved === this.#moved;
    this.#moved = moved;
    if (idle && !this.#isWaiting) {
      if (this.leaving || this.#exchanges.size > 0) this.end();
      else this.leave();
    }
    if (!this.#session.destroyed) deadlines.within(this, this.#front.limits.idleMs);
  }

  #leaveIfIdle(waiting: { readonly graceMs: number; readonly by: number; asks: number }): void {
    const isIdle = this.#exchanges.size === 0 && waiting.asks === this.#asks;
    waiting.asks = this.#asks;
    if (isIdle || performance.now() >= waiting.by) this.leave();
    deadlines.within(this, this.leaving ? this.#front.limits.idleMs : waiting.graceMs);
  }

  /** Some exchange waits, for its provider or its client. Answers that are complete but unsent do not count. */
  get #isWaiting(): boolean {
    for (const exchange of this.#exchanges) if (exchange.active) return true;
    return false;
  }

  #asked(asked: StreamArguments): void {
    const [stream, headers] = asked;
    this.#asks++;
    this.#last = headers;
    const { limits } = this.#front;
    if (this.#front.streams >= limits.streams && this.streams >= FEW_STREAMS) {
      stream.on('error', () => undefined);
      stream.close(constants.NGHTTP2_REFUSED_STREAM); // it may ask again (RFC 9113, 8.7)
      return;
    }
    const exchange = this.#front.ask(this, asked, this.#description);
    this.#exchanges.add(exchange);
    this.#front.streams++;
    stream.once('close', () => {
      this.#exchanges.delete(exchange);
      this.#front.streams--;
    });
  }

  get streams(): number {
    return this.#exchanges.size;
  }
}
