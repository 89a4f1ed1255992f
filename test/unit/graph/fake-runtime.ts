/** A runtime for tests: a raw unix socket that answers each request with whatever bytes it is told. */
import net from 'node:net';
import { onTestFinished } from 'vitest';
import type { Link } from '../../../src/graph/link.js';
import { PvCtrlSource, type PvCtrlSourceOptions } from '../../../src/graph/pv-ctrl-source.js';
import { linkToWire } from '../../../src/graph/wire.js';
import type { XConnectError } from '../../../src/kernel/errors.js';
import { createLogger } from '../../../src/kernel/log.js';
import { scratchFolder } from '../manifest/scratch.js';

/** Gets the connection once the head of a request (and its body) is there. */
export type Answer = (socket: net.Socket, request: string) => void;

export function graphBody(...links: Link[]): string {
  return JSON.stringify(links.map(linkToWire));
}

export function ok(body: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** Sends the bytes in pieces of that many, each by itself. */
export async function trickle(socket: net.Socket, bytes: Buffer, piece: number): Promise<void> {
  for (let at = 0; at < bytes.length && !socket.destroyed; at += piece) {
    socket.write(bytes.subarray(at, at + piece));
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.end();
}

/** In chunks of that many characters, with extensions and a trailer. */
export function chunked(body: string, size: number): string {
  const chunks: string[] = [];
  for (let at = 0; at < body.length; at += size) {
    const chunk = body.slice(at, at + size);
    chunks.push(`${Buffer.byteLength(chunk).toString(16)};note="a;b"\r\n${chunk}\r\n`);
  }
  const end = '0\r\nX-Trailer: yes\r\n\r\n';
  return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join('')}${end}`;
}

export class FakeRuntime {
  /** Requests so far, whole. */
  readonly requests: string[] = [];
  readonly sockets = new Set<net.Socket>();
  answer: Answer;
  path = '';
  #server: net.Server | undefined;

  constructor(answer: Answer) {
    this.answer = answer;
  }

  /** Answers with `bytes` and closes, when asked for the graph; 404 to anything else. */
  static graph(bytes: () => string): Answer {
    return (socket, request) => {
      if (request.startsWith('GET /xconnect-graph ')) socket.end(bytes());
      else socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
    };
  }

  async start(): Promise<this> {
    this.path ||= `${await scratchFolder()}/pv-ctrl`;
    this.#server = net.createServer((socket) => this.#serve(socket));
    await new Promise<void>((resolve) => this.#server?.listen(this.path, resolve));
    return this;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  /** Requests of this method so far. */
  count(method: 'GET' | 'POST'): number {
    return this.requests.filter((request) => request.startsWith(`${method} `)).length;
  }

  connect = (): Promise<net.Socket> =>
    new Promise((resolve, reject) => {
      const socket = net.connect(this.path);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(socket);
      });
    });

  #serve(socket: net.Socket): void {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => {}); // the client may give up at any moment
    let text = '';
    const take = (chunk: Buffer) => {
      text += chunk;
      const end = text.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (end < 0 || Buffer.byteLength(text.slice(end + 4)) < length) return;
      socket.off('data', take);
      this.requests.push(text);
      this.answer(socket, text);
    };
    socket.on('data', take);
  }
}

export interface Seen {
  readonly source: PvCtrlSource;
  readonly graphs: { links: readonly Link[]; stamp: number }[];
  readonly failures: XConnectError[];
  /** `graph`, `failure CODE` and `recovered`, in their order. */
  readonly order: string[];
}

/** A started source at that runtime, and all that it says. */
export function watch(runtime: FakeRuntime, options: Partial<PvCtrlSourceOptions> = {}): Seen {
  const log = createLogger('silent');
  const source = new PvCtrlSource({ connect: runtime.connect, log, ...options });
  const seen: Seen = { source, graphs: [], failures: [], order: [] };
  source.on('graph', (graph) => {
    seen.graphs.push(graph);
    seen.order.push('graph');
  });
  source.on('failure', (error) => {
    seen.failures.push(error);
    seen.order.push(`failure ${error.code}`);
  });
  source.on('recovered', () => seen.order.push('recovered'));
  onTestFinished(async () => {
    source.stop();
    await runtime.stop();
  });
  source.start();
  return seen;
}
