/** HTTP/2 on connections whose TLS handshake chose it: Node's own sessions, each stream an exchange. */
import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Site } from '../../http1/index.js';
import { Http2Exchange } from './http2-exchange.js';

/** Requests of one connection at once. */
const MAX_STREAMS = 100;
const END_STREAM = 0x1; // flag of HEADERS, RFC 9113, 6.2

export class Http2Front<Description> {
  readonly #server: Http2Server;
  readonly #site: Site<Description>;
  readonly #sessions = new Set<ServerHttp2Session>();
  #description: Description | null = null;

  constructor(site: Site<Description>) {
    this.#site = site;
    this.#server = createServer({
      settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: site.limits.head },
      maxHeaderListPairs: site.limits.fields,
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

  /** Lets streams under way finish, and then the sessions end. */
  leave(): void {
    for (const session of this.#sessions) session.close();
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #begin(session: ServerHttp2Session): void {
    const description = this.#description as Description;
    this.#sessions.add(session);
    session.on('error', () => session.destroy());
    session.once('close', () => this.#sessions.delete(session));
    session.setTimeout(this.#site.limits.idleMs, () => session.close());
    session.on('stream', (stream, headers, flags, rawHeaders) => {
      const exchange = new Http2Exchange(stream, headers, (flags & END_STREAM) !== 0);
      exchange.begin(rawHeaders, this.#site, description);
    });
  }
}
