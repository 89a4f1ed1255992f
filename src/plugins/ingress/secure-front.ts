/** TLS before an address: from accepted descriptors to HTTP/2 or, behind the same codec as without TLS, HTTP/1.1. */
import { Certificates } from './certificates.js';
import { DuplexStream } from './duplex-stream.js';
import { Entrance } from './entrance.js';
import { Http2Front } from './http2-front.js';
import { TlsFront } from './tls-front.js';
import { type Visitor, visitorFrom } from './visitor.js';

/** Of an address with TLS. */
export const openSecureEntrance = (): Entrance =>
  new Entrance((entrance) => new SecureFront(entrance));

export class SecureFront {
  readonly certificates = new Certificates();
  readonly #entrance: Entrance;
  readonly #tls: TlsFront;
  readonly #http2: Http2Front<Visitor>;

  constructor(entrance: Entrance) {
    this.#entrance = entrance;
    this.#http2 = new Http2Front(entrance);
    this.#tls = new TlsFront(this.certificates, (socket, protocol) => {
      const { remoteAddress } = socket;
      if (remoteAddress === undefined) {
        socket.destroy(); // gone already: nobody would know who asked
        return;
      }
      const visitor = visitorFrom(remoteAddress, true);
      if (protocol === 'h2') this.#http2.accept(socket, visitor);
      else entrance.server.accept(new DuplexStream(socket), visitor);
    });
  }

  /** There are as many connections as there may be, and none of them is idle. */
  get isFull(): boolean {
    const { server, limits } = this.#entrance;
    if (this.#tls.size + this.#http2.size + server.size < limits.connections) return false;
    return !this.#http2.dismissIdle() && !server.dismissIdle();
  }

  /** Takes the descriptor. */
  accept(fd: number): void {
    this.#tls.accept(fd);
  }

  /** Resolves when no HTTP/2 connection is left. */
  leave(): Promise<void> {
    this.#tls.close();
    return this.#http2.leave();
  }

  close(): void {
    this.#http2.close();
  }
}
