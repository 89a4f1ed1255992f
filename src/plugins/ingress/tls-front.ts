/**
 * The TLS handshakes of an address: each with the certificates that are valid when it begins. It chooses HTTP/2 or
 * HTTP/1.1, whichever the client prefers (ALPN, RFC 7301).
 */
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { watchedSocketOf } from '../../http1/index.js';
import { DrainBarrier } from '../../kernel/drain.js';
import type { Certificate, Certificates } from './certificates.js';

const HANDSHAKE_MS = 10_000;

/** Takes the socket after its handshake. */
export type OnSecure = (socket: TLSSocket, protocol: 'h2' | 'http/1.1') => void;

export class TlsFront {
  /** Handshakes under way. */
  size = 0;
  readonly #barrier = new DrainBarrier(() => this.size === 0);
  readonly #certificates: Certificates;
  readonly #server: Server;
  /** The certificate for clients without SNI. */
  #standing: Certificate['pem'] = null;
  #closed = false;

  constructor(certificates: Certificates, onSecure: OnSecure) {
    this.#certificates = certificates;
    this.#server = createServer({
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: HANDSHAKE_MS,
      SNICallback: (name, done) => done(null, certificates.find(name)?.context ?? undefined),
    });
    this.#server.on('tlsClientError', (_error, socket) => {
      socket.destroy();
      this.#done();
    });
    this.#server.on('secureConnection', (socket) => {
      if (this.#closed) socket.destroy();
      else onSecure(socket, socket.alpnProtocol === 'h2' ? 'h2' : 'http/1.1');
      this.#done();
    });
  }

  /** Takes the descriptor. */
  accept(fd: number): void {
    const watched = watchedSocketOf(fd);
    if (!watched.ok) return; // the descriptor is closed, as if the client had not come
    const raw = watched.value;
    const pem = this.#certificates.find('')?.pem;
    if (!pem) {
      raw.destroy();
      return;
    }
    if (pem !== this.#standing) {
      this.#server.setSecureContext(pem);
      this.#standing = pem;
    }
    raw.setNoDelay(true);
    this.size++;
    this.#server.emit('connection', raw);
  }

  #done(): void {
    this.size--;
    this.#barrier.check();
  }

  /** Resolves when no handshake is under way. */
  drained(): Promise<void> {
    return this.#barrier.drained();
  }

  /** Connections whose handshake is under way are closed after it. */
  close(): void {
    this.#closed = true;
  }
}
