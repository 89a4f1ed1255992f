/** A TLS server in front of a stand, over socket pairs, with a certificate made for the test. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http2, { type ClientHttp2Session } from 'node:http2';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { type Certificate, Certificates } from '../../../src/plugins/ingress/certificates.js';
import { Http2Front } from '../../../src/plugins/ingress/http2-front.js';
import { TlsFront } from '../../../src/plugins/ingress/tls-front.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import type { Stand } from './stand.js';

function pemPair(): { cert: Buffer; key: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), 'pvx-tls-stand-'));
  const [key, cert] = [join(folder, 'key'), join(folder, 'cert')];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-subj', '/CN=a'];
  const argv = ['req', '-x509', '-nodes', ...kind, '-keyout', key, '-out', cert];
  execFileSync('openssl', argv, { stdio: 'pipe' });
  const pair = { cert: readFileSync(cert), key: readFileSync(key) };
  rmSync(folder, { recursive: true });
  return pair;
}

export class TlsStand {
  readonly front: Http2Front<null>;
  readonly handshakes: TlsFront;

  constructor(stand: Stand) {
    const certificates = new Certificates();
    const pem = pemPair();
    const context = tls.createSecureContext(pem);
    certificates.add({
      hostName: '',
      pem,
      context,
      stop: () => undefined,
    } as unknown as Certificate);
    this.front = new Http2Front(stand.site);
    this.handshakes = new TlsFront(certificates, (socket) => this.front.accept(socket, null));
  }

  /** A new client's end of a connection. */
  socket(): net.Socket {
    const [near, far] = native.socketPair(SOCKET_TYPES.stream);
    this.handshakes.accept(near);
    const socket = new net.Socket({ fd: far, readable: true, writable: true });
    socket.on('error', () => undefined);
    return socket;
  }

  /** What a client of HTTP/2 has of it, its handshake done. */
  async connect(socket = this.socket()): Promise<tls.TLSSocket> {
    const secure = tls.connect({ socket, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    secure.on('error', () => undefined);
    await once(secure, 'secureConnect');
    return secure;
  }

  /** A session over that. */
  async session(
    options: http2.SecureClientSessionOptions = {},
    socket = this.socket(),
  ): Promise<ClientHttp2Session> {
    const secure = await this.connect(socket);
    const session = http2.connect('https://a', { ...options, createConnection: () => secure });
    session.on('error', () => undefined);
    await once(session, 'connect');
    return session;
  }

  close(): void {
    this.front.close();
  }
}
