/**
 * The unix socket pv-ctrl: HTTP/1.0 and 1.1, answered by a router. The runtime has one on the host, and one for each
 * container, which is how it knows who asks.
 *
 * A client that has shut down its sending side (`nc -N`) is answered too. The size of a body, the time for a request
 * and the number of connections are bounded; what exceeds them costs that request or connection and nothing else.
 */
import { createReadStream, lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import net, { type Socket } from 'node:net';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { MAX_SOCKET_PATH } from '../graph/endpoint.js';
import { parseJson } from '../manifest/json.js';
import { ProblemList } from '../manifest/problem-list.js';
import {
  type ApiAnswer,
  type ApiRequest,
  type Caller,
  FileBody,
  HttpError,
  type Router,
} from './router.js';

const MAX_BODY = 16 * 1024 * 1024;
/** Of the host's socket, and of that of one container. */
const MAX_CONNECTIONS = { host: 256, container: 32 };
/** rw-rw----: to connect takes the permission to write. */
const HOST_UMASK = 0o117;
/** Whoever is in the container; on the host its folder is closed to others. */
export const CONTAINER_UMASK = 0o111;
/** How long the head of a request may take, in milliseconds, and how many bytes it may have. */
const HEAD_MS = 30_000;
const MAX_HEAD = 16 * 1024;
/** How long a connection may be silent, in milliseconds. */
const SILENT_MS = 300_000;

export class ControlSocket {
  readonly #path: string;
  readonly #umask: number;
  readonly #server: http.Server;
  /** It accepts, and hands each connection to the server of HTTP. */
  readonly #listener: net.Server;
  #inode: number | null = null;

  /** `caller`: the container whose socket it is; null: the host's. */
  constructor(path: string, router: Router, caller: Caller | null = null) {
    this.#path = path;
    this.#umask = caller ? CONTAINER_UMASK : HOST_UMASK;
    this.#server = http.createServer(
      (incoming, outgoing) => void serve(incoming, outgoing, router, caller),
    );
    // An object may take long to put, as long as it moves.
    this.#server.requestTimeout = 0;
    this.#server.headersTimeout = HEAD_MS;
    this.#server.timeout = SILENT_MS;
    // Missing in Node.js's types; without it, a client that half-closes before its answer is ready gets none.
    Object.assign(this.#server, { httpAllowHalfOpen: true });
    this.#server.on('clientError', (_error, socket: Socket) => refuse(socket));
    this.#listener = net.createServer({ allowHalfOpen: true }, (socket) =>
      acceptIdentity(socket, this.#server),
    );
    this.#listener.maxConnections = caller ? MAX_CONNECTIONS.container : MAX_CONNECTIONS.host;
  }

  /** Resolves with null when it listens, or with one sentence on why not. A socket that nobody serves is replaced. */
  async listen(): Promise<string | null> {
    if (Buffer.byteLength(this.#path) > MAX_SOCKET_PATH) {
      return `The path ${this.#path} is longer than the ${MAX_SOCKET_PATH} bytes of a socket's: give another one.`;
    }
    try {
      mkdirSync(dirname(this.#path), { recursive: true });
      const obstacle = await makeWay(this.#path);
      if (obstacle) return obstacle;
      await listenAs(this.#listener, this.#path, this.#umask);
      this.#inode = lstatSync(this.#path).ino;
      return null;
    } catch (error) {
      return `${this.#path} can't be made: ${(error as Error).message}.`;
    }
  }

  /** Ends every connection, and removes the socket file if it is still the one that was made here. */
  async close(): Promise<void> {
    if (this.#inode === null) return;
    const isOurs = lstatSync(this.#path, { throwIfNoEntry: false })?.ino === this.#inode;
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
    if (isOurs) removeIfThere(this.#path);
  }
}

/** Listens on a socket file at `path` that has the mode which `umask` leaves. Rejects with the system's error. */
export function listenAs(server: net.Server, path: string, umask: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // `listen` makes the file before it returns, so the file never has another mode.
    const before = process.umask(umask);
    server.listen(path, resolve);
    process.umask(before);
  });
}

const HEAD = 'Content-Type: application/json\r\nConnection: close';

function refuse(socket: Socket): void {
  if (!socket.writable) return;
  socket.end(`HTTP/1.1 400 Bad Request\r\n${HEAD}\r\n\r\n{"Error":"This is no HTTP request."}\n`);
}

/**
 * Pantavisor's pvcontrol puts an object with `Transfer-Encoding: identity` beside its Content-Length. That coding is
 * none (RFC 2616, 3.6), and RFC 9112 has taken it out, so Node.js refuses such a request: the line is left out here,
 * before it is parsed. Only the first request of a connection can have it, as that client makes one.
 */
function acceptIdentity(socket: Socket, server: http.Server): void {
  let head = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), HEAD_MS);
  const forget = () => socket.destroy();
  const look = () => {
    const chunk = socket.read() as Buffer | null;
    if (chunk) head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (chunk && end < 0 && head.length < MAX_HEAD) return; // there may be more
    clearTimeout(timer);
    socket.off('readable', look).off('error', forget);
    if (!chunk && head.length === 0) {
      socket.destroy();
    } else if (!chunk) {
      socket.on('error', forget);
      refuse(socket); // it ended in the middle of its head
    } else {
      socket.unshift(end < 0 ? head : withoutIdentity(head, end));
      server.emit('connection', socket);
    }
  };
  socket.on('readable', look).on('error', forget);
  socket.once('close', () => clearTimeout(timer));
}

const IDENTITY = /\r\ntransfer-encoding:[ \t]*identity[ \t]*(?=\r\n)/gi;

/** `end`: where its empty line begins. */
function withoutIdentity(request: Buffer, end: number): Buffer {
  const head = request.toString('latin1', 0, end + 2).replace(IDENTITY, '');
  return Buffer.concat([Buffer.from(head, 'latin1'), request.subarray(end + 2)]);
}

async function serve(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  router: Router,
  caller: Caller | null,
) {
  outgoing.on('error', () => undefined);
  let answer: ApiAnswer;
  try {
    answer = await router.handle(toRequest(incoming, caller));
  } catch (error) {
    answer = { status: 500, body: { Error: `This is a bug: ${(error as Error).message}.` } };
  }
  const { status, body, headers } = answer;
  if (body instanceof FileBody) {
    outgoing.writeHead(status, {
      ...headers,
      'Content-Type': 'application/octet-stream',
      'Content-Length': body.size,
    });
    // Where the file can't be read to its end, the client sees that bytes are missing.
    await pipeline(createReadStream(body.path), outgoing).catch(() => outgoing.destroy());
    return;
  }
  const isText = typeof body === 'string';
  const text = isText ? body : `${JSON.stringify(body)}\n`;
  outgoing.writeHead(status, {
    ...headers,
    'Content-Type': isText ? 'text/plain; charset=utf-8' : 'application/json',
    'Content-Length': Buffer.byteLength(text),
  });
  outgoing.end(text);
}

function toRequest(incoming: IncomingMessage, caller: Caller | null): ApiRequest {
  const target = incoming.url ?? '/';
  const length = incoming.headers['content-length'];
  return {
    method: incoming.method ?? 'GET',
    path: target.replace(/^http:\/\/[^/]*/i, '').replace(/[?#].*$/s, ''),
    caller,
    length: length === undefined ? undefined : Number(length),
    body: incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>,
    bytes: (limit) => readBody(incoming, limit),
    json: () => readJson(incoming),
  };
}

async function readJson(incoming: IncomingMessage): Promise<unknown> {
  const problems = new ProblemList();
  const value = parseJson(await readBody(incoming, MAX_BODY), 'body', problems);
  if (value !== undefined) return value;
  throw new HttpError(400, `The body: ${problems.list()[0]?.message ?? 'found no JSON.'}`);
}

async function readBody(incoming: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of incoming.iterator({ destroyOnReturn: false })) {
      size += (chunk as Buffer).length;
      if (size > limit) break;
      chunks.push(chunk as Buffer);
    }
  } catch {
    throw new HttpError(400, 'The body was cut off.');
  }
  if (size <= limit) return Buffer.concat(chunks);
  // The rest of the body is not read, so no other request can follow on this connection.
  throw new HttpError(413, `The body is longer than ${limit} bytes.`, { Connection: 'close' });
}

/** Removes a socket that nobody serves. Anything else in its place is told in one sentence; null: the place is free. */
async function makeWay(path: string): Promise<string | null> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return null;
  if (!found.isSocket()) return `${path} is there and no socket: remove it, or give another path.`;
  if (await isServed(path)) {
    return `${path} is served by another runtime: stop that, or give another path with --pv-ctrl.`;
  }
  removeIfThere(path);
  return null;
}

/** Only a refused connection means that nobody serves it. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
