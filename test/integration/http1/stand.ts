/**
 * The forwarder between a client and a provider that the test plays or brings: sockets are real, nobody listens.
 */
import http from 'node:http';
import net from 'node:net';
import { requestOmitting } from '../../../src/http1/forwarding.js';
import { DEFAULT_LIMITS, type Limits } from '../../../src/http1/limits.js';
import { Lingering } from '../../../src/http1/lingering.js';
import { ConnectionPool } from '../../../src/http1/pool.js';
import { type Refusal, refused } from '../../../src/http1/refusal.js';
import type { Route, Served, Site } from '../../../src/http1/route.js';
import { ServerConnection } from '../../../src/http1/server-connection.js';
import { Tunnel } from '../../../src/http1/tunnel.js';
import type { LinkError } from '../../../src/kernel/errors.js';
import { failed, ok, type Result } from '../../../src/kernel/result.js';
import { ByteChannel } from '../../../src/relay/byte-channel.js';
import type { ByteStream } from '../../../src/relay/byte-stream.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';

export interface StandOptions {
  readonly limits?: Partial<Limits>;
  readonly strip?: number;
  readonly lines?: string;
  readonly override?: boolean;
  readonly via?: string;
  readonly refuse?: Refusal;
  readonly unreachable?: () => LinkError | null | Promise<LinkError | null>;
}

export class Stand {
  readonly pool: ConnectionPool;
  readonly served: Served[] = [];
  readonly timeouts: string[] = [];
  readonly connections = new Set<ServerConnection<null>>();
  /** Connections to the provider so far. */
  made = 0;
  readonly #lingering = new Lingering();
  readonly #options: StandOptions;
  readonly #provider: (socket: net.Socket) => void;
  readonly #route: Route;

  /** `provider` is given its end of every new connection. */
  constructor(provider: (socket: net.Socket) => void, options: StandOptions = {}) {
    this.#options = options;
    this.#provider = provider;
    this.pool = new ConnectionPool(() => this.#connect(), { ...DEFAULT_LIMITS, ...options.limits });
    this.#route = {
      pool: this.pool,
      omit: requestOmitting({ forwarded: false, override: options.override ?? false }),
      strip: options.strip ?? 0,
      host: 'localhost',
      via: options.via ?? null,
      addLines: (writer) => writer.text(options.lines ?? ''),
      log: (served) => this.served.push(served),
      onBegin: null,
      onEnd: null,
      onTimeout: (kind) => this.timeouts.push(kind),
      transfer: null,
      join: (client, provider) => new Tunnel(client, provider),
    };
  }

  /** A new client's end. */
  client(): net.Socket {
    const [near, far] = native.socketPair(SOCKET_TYPES.stream);
    this.accept(new ByteChannel(near));
    return new net.Socket({ fd: far, readable: true, writable: true, allowHalfOpen: true });
  }

  get site(): Site<null> {
    const { refuse } = this.#options;
    const route = () => (refuse ? refused(refuse) : ok(this.#route));
    return { limits: this.pool.limits, lingering: this.#lingering, route };
  }

  accept(stream: ByteStream): void {
    const connection = new ServerConnection(stream, this.site, null, (closed) =>
      this.connections.delete(closed),
    );
    this.connections.add(connection);
  }

  close(): void {
    for (const connection of [...this.connections]) connection.close();
    this.pool.close({ code: 'provider-not-running', message: 'It is over.' });
  }

  async #connect(): Promise<Result<ByteStream>> {
    const error = await this.#options.unreachable?.();
    if (error) return failed(error);
    this.made++;
    const [near, far] = native.socketPair(SOCKET_TYPES.stream);
    this.#provider(
      new net.Socket({ fd: far, readable: true, writable: true, allowHalfOpen: true }),
    );
    return ok(new ByteChannel(near));
  }
}

/** A provider that is Node's own HTTP server. */
export function httpProvider(
  handle: http.RequestListener,
): ((socket: net.Socket) => void) & { server: http.Server } {
  const server = http.createServer(handle);
  const accept = (socket: net.Socket) => void server.emit('connection', socket);
  return Object.assign(accept, { server });
}

/** Everything until the end of the stream. */
export async function readToEnd(socket: net.Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise<void>((resolve) => {
    socket.once('end', resolve);
    socket.once('close', () => resolve());
    socket.on('error', () => resolve());
  });
  return Buffer.concat(chunks).toString('latin1');
}

/**
 * What comes back for `text`; given in pieces, each is sent by itself. The client's end of the stream follows it at
 * once where `end` is set.
 */
export async function exchange(
  stand: Stand,
  text: string | readonly string[],
  end = false,
): Promise<string> {
  const socket = stand.client();
  const answer = readToEnd(socket);
  for (const piece of [text].flat()) {
    socket.write(piece, 'latin1');
    if (typeof text !== 'string') await new Promise((resolve) => setImmediate(resolve));
  }
  if (end) socket.end();
  const all = await answer;
  socket.destroy();
  return all;
}
