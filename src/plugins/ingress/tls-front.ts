/**
 * TLS in front of an address: a handshake for each connection, with the certificates as they are at its begin, and
 * then HTTP/2 or HTTP/1.1, as the client prefers (ALPN, RFC 7301).
 */
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Certificates } from './certificates.js';

const HANDSHAKE_MS = 10_000;

/** Takes the socket, after its handshake. */
export type OnSecure = (socket: TLSSocket, protocol: 'h2' | 'http/1.1') => void;

export class TlsFront {
  readonly #certificates: Certificates;
  readonly #shaking = new Set<Socket>();

  constructor(certificates: Certificates) {
    this.#certificates = certificates;
  }

  /** Handshakes under way. */
  get size(): number {
    return this.#shaking.size;
  }

  /** Takes the descriptor. */
  accept(fd: number, onSecure: OnSecure): void {
    const raw = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    const context = this.#certificates.find('');
    raw.on('error', () => raw.destroy());
    if (!context) {
      raw.destroy();
      return;
    }
    this.#shaking.add(raw);
    raw.setNoDelay(true);
    const socket = new TLSSocket(raw, {
      isServer: true,
      secureContext: context,
      SNICallback: (name, done) => done(null, this.#certificates.find(name) ?? context),
      ALPNProtocols: ['h2', 'http/1.1'],
    });
    const timer = setTimeout(() => raw.destroy(), HANDSHAKE_MS);
    raw.once('close', () => this.#done(raw, timer));
    socket.on('error', () => socket.destroy());
    socket.once('secure', () => {
      this.#done(raw, timer);
      onSecure(socket, socket.alpnProtocol === 'h2' ? 'h2' : 'http/1.1');
    });
  }

  close(): void {
    for (const raw of this.#shaking) raw.destroy();
  }

  #done(raw: Socket, timer: NodeJS.Timeout): void {
    clearTimeout(timer);
    this.#shaking.delete(raw);
  }
}
