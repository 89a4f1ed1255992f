/** TLS before an address: its connections go on as HTTP/2, or as HTTP/1.1 by the same codec as without TLS. */
import { Certificates } from './certificates.js';
import { DuplexStream } from './duplex-stream.js';
import type { Entrance } from './entrance.js';
import { Http2Front } from './http2-front.js';
import { type Visitor, visitorFrom } from './ingress-link.js';
import { TlsFront } from './tls-front.js';

export class SecureFront {
  readonly certificates = new Certificates();
  readonly #entrance: Entrance;
  readonly #tls: TlsFront;
  readonly #http2: Http2Front<Visitor>;

  constructor(entrance: Entrance) {
    this.#entrance = entrance;
    this.#http2 = new Http2Front(entrance);
    this.#tls = new TlsFront(this.certificates, (socket, protocol) => {
      const { remoteAddress: ip, remotePort: port = 0 } = socket;
      if (ip === undefined) {
        socket.destroy(); // the client is gone, and its address can't be known any more
        return;
      }
      const visitor = visitorFrom({ ip, port }, true);
      visitor.serving =
        protocol === 'h2'
          ? this.#http2.accept(socket, visitor)
          : entrance.server.accept(new DuplexStream(socket), visitor);
    });
  }

  /** The limit of connections is reached, and none is idle. An idle one is closed to make room. */
  get isFull(): boolean {
    const { server, limits } = this.#entrance;
    if (this.#tls.size + this.#http2.size + server.size < limits.connections) return false;
    return !this.#http2.dismissIdle() && !server.dismissIdle();
  }

  /** Takes the descriptor. */
  accept(fd: number): void {
    this.#tls.accept(fd);
  }

  /** Resolves when no HTTP/2 connection is left, and no handshake. */
  async leave(drainMs: number): Promise<void> {
    const left = this.#http2.leave(drainMs);
    await this.#tls.drained();
    await left;
    await this.#http2.leave(drainMs);
  }

  close(): void {
    this.#tls.close();
    this.#http2.close();
  }
}
