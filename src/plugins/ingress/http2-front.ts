/** HTTP/2 on connections whose TLS handshake chose it: Node's own sessions, each stream an exchange. */
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Site } from '../../http1/index.js';
import { Emptiness } from '../../kernel/emptiness.js';
import { Http2Exchange } from './http2-exchange.js';

/** Requests of one connection at once. */
const MAX_STREAMS = 100;
/** The most that limits can say; what they do say holds when the head is read. */
const MAX_HEAD = 65_536;
const MAX_FIELDS = 1000;
const END_STREAM = 0x1; // flag of HEADERS, RFC 9113, 6.2

/** Of the event 'stream'; the types of Node.js lack the last one. */
type StreamArguments = [
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
];

export class Http2Front<Description> {
  readonly #server: Http2Server;
  readonly #site: Site<Description>;
  /** With the streams that are open, the eldest first. */
  readonly #sessions = new Map<ServerHttp2Session, number>();
  readonly #emptiness = new Emptiness(() => this.#sessions.size === 0);
  #description: Description | null = null;

  constructor(site: Site<Description>) {
    this.#site = site;
    this.#server = createServer({
      settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: MAX_HEAD },
      maxHeaderListPairs: MAX_FIELDS,
    });
    this.#server.on('session', (session) => this.#begin(session));
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Takes the socket. */
  accept(socket: TLSSocket, description: Description): void {
    this.#description = description; // 'session' follows at once, within the next call
    this.#server.emit('connection', socket);
    this.#description = null;
  }

  /** Streams under way finish, then their sessions end; resolves when none is left. */
  leave(): Promise<void> {
    for (const session of this.#sessions.keys()) session.close();
    return this.#emptiness.reached();
  }

  close(): void {
    for (const session of this.#sessions.keys()) session.destroy();
  }

  /** Ends a session in which nothing is asked. False: there is none. */
  dismissIdle(): boolean {
    for (const [session, streams] of this.#sessions) {
      if (streams > 0) continue;
      session.close();
      return true;
    }
    return false;
  }

  #begin(session: ServerHttp2Session): void {
    const description = this.#description as Description;
    this.#sessions.set(session, 0);
    session.on('error', () => session.destroy());
    session.once('close', () => {
      this.#sessions.delete(session);
      this.#emptiness.check();
    });
    session.setTimeout(this.#site.limits.idleMs, () => session.close());
    session.on('stream', (...[stream, headers, flags, rawHeaders]: StreamArguments) => {
      this.#count(session, 1);
      stream.once('close', () => this.#count(session, -1));
      const exchange = new Http2Exchange(stream, headers, (flags & END_STREAM) !== 0);
      exchange.begin(rawHeaders, this.#site, description);
    });
  }

  #count(session: ServerHttp2Session, change: number): void {
    const streams = this.#sessions.get(session);
    if (streams !== undefined) this.#sessions.set(session, streams + change);
  }
}
