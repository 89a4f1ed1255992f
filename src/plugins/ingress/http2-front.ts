/**
 * HTTP/2 on connections whose TLS handshake chose it: Node's own sessions, each stream an exchange.
 *
 * All streams of an address are counted together, for it is they that cost; beyond `limits.streams` each connection may
 * have a few, so that whoever has many takes none from the others. A session ends with its socket (relay/watched-socket.ts);
 * one whose client takes nothing of what it is owed, for as long as it may be idle, is ended.
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
import { deadlines, type Limits, type Site, type Timed } from '../../http1/index.js';
import { DrainBarrier } from '../../kernel/drain.js';
import { FairQueue } from './fair-queue.js';
import { Http2Exchange } from './http2-exchange.js';

/** Requests of one connection at once. */
const MAX_STREAMS = 100;
/** As many of them are never refused. */
const FEW_STREAMS = 4;
/** What a field costs beside its bytes (RFC 9113, 6.5.2), of which `limits.head` knows nothing. */
const FIELD_COST = 32;
/** Pseudo-headers, and a cookie's crumbs. */
const MORE_FIELDS = 32;
const END_STREAM = 0x1; // flag of HEADERS, RFC 9113, 6.2

/** Of the event 'stream'; the types of Node.js lack the last one. */
type StreamArguments = [
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
];

export class Http2Front<Description> {
  readonly #site: Site<Description>;
  /** The eldest first. */
  readonly #sessions = new Set<Session<Description>>();
  readonly #begins = new FairQueue();
  readonly #barrier = new DrainBarrier(() => this.#sessions.size === 0);
  /** Of all sessions, open. */
  streams = 0;
  #server: Http2Server | null = null;
  #limits: Limits | null = null;
  /** Of the connection whose session is made now. */
  #made: { readonly socket: TLSSocket; readonly description: Description } | null = null;

  constructor(site: Site<Description>) {
    this.#site = site;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get limits(): Limits {
    return this.#site.limits;
  }

  /** Takes the socket. */
  accept(socket: TLSSocket, description: Description): void {
    this.#made = { socket, description }; // 'session' follows at once, within the next call
    this.#serverOf(this.#site.limits).emit('connection', socket);
    this.#made = null;
  }

  /** Streams under way finish, then their sessions end; resolves when none is left. */
  leave(): Promise<void> {
    for (const session of this.#sessions) session.leave();
    return this.#barrier.drained();
  }

  /** Ends every session at once. */
  close(): void {
    for (const session of this.#sessions) session.end();
  }

  /** Ends a session in which nothing is asked. False: there is none. */
  dismissIdle(): boolean {
    for (const session of this.#sessions) {
      if (session.streams > 0 || session.leaving) continue;
      session.leave();
      return true;
    }
    return false;
  }

  /** Begins what a client asks, in its turn. */
  ask(
    session: Session<Description>,
    [stream, headers, flags, rawHeaders]: StreamArguments,
    description: Description,
  ): Http2Exchange {
    const exchange = new Http2Exchange(stream, headers, (flags & END_STREAM) !== 0);
    this.#begins.take(session, () => {
      if (!stream.destroyed) exchange.begin(rawHeaders, this.#site, description);
    });
    return exchange;
  }

  gone(session: Session<Description>): void {
    this.#sessions.delete(session);
    this.#begins.forget(session);
    this.#barrier.check();
  }

  /** What may be sent before a request is read is the server's to say, and the links' limits come and go. */
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
      this.#sessions.add(new Session(session, this, socket, description));
    });
    this.#server = server;
    this.#limits = limits;
    return server;
  }
}

class Session<Description> implements Timed {
  deadline = Number.POSITIVE_INFINITY;
  leaving = false;
  readonly #exchanges = new Set<Http2Exchange>();
  readonly #session: ServerHttp2Session;
  readonly #front: Http2Front<Description>;
  readonly #socket: TLSSocket;
  readonly #description: Description;
  /** Bytes that had gone either way when it was looked at last. */
  #moved = 0;

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
      front.gone(this);
    });
    session.on('stream', (...asked: StreamArguments) => this.#asked(asked));
    deadlines.add(this);
    deadlines.within(this, front.limits.idleMs);
  }

  /** Takes no more requests, and ends with the last of those that it has. */
  leave(): void {
    this.leaving = true;
    this.#session.close();
  }

  end(): void {
    this.#session.destroy();
    this.#socket.destroy(); // else one that reads nothing would be waited for
  }

  /** For Deadlines: it is time to look whether it is of use to anybody. */
  expired(): void {
    if (this.#session.destroyed) return;
    const moved = this.#bytes;
    const idle = moved === this.#moved;
    this.#moved = moved;
    if (idle && !this.#isWaiting) {
      if (this.leaving || this.#exchanges.size > 0) this.end();
      else this.leave();
    }
    if (!this.#session.destroyed) deadlines.within(this, this.#front.limits.idleMs);
  }

  /** For a provider, or that more of an answer is taken; what is over and still not sent is nobody's. */
  get #isWaiting(): boolean {
    for (const exchange of this.#exchanges) if (exchange.active) return true;
    return false;
  }

  get #bytes(): number {
    const { bytesRead, bytesWritten } = this.#socket;
    return bytesRead + bytesWritten;
  }

  #asked(asked: StreamArguments): void {
    const [stream] = asked;
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
