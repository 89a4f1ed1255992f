/**
 * The unix socket pv-ctrl: HTTP/1.0 and 1.1, answered by a router.
 *
 * A client that has shut down its sending side (`nc -N`) is answered too. The size of a body, the time for a request
 * and the number of connections are bounded; what exceeds them costs that request or connection and nothing else.
 */
import { lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import net, { type Socket } from 'node:net';
import { dirname } from 'node:path';
import { MAX_SOCKET_PATH } from '../graph/endpoint.js';
import { parseJson } from '../manifest/json.js';
import { ProblemList } from '../manifest/problem-list.js';
import { type ApiAnswer, type ApiRequest, HttpError, type Router } from './router.js';

const MAX_BODY = 16 * 1024 * 1024;
const MAX_CONNECTIONS = 256;
/** rw-rw----: to connect takes the permission to write. */
const UMASK = 0o117;

export class ControlSocket {
  readonly #path: string;
  readonly #server: http.Server;
  #inode: number | null = null;

  constructor(path: string, router: Router) {
    this.#path = path;
    this.#server = http.createServer(
      (incoming, outgoing) => void serve(incoming, outgoing, router),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    // Missing in Node.js's types; without it, a client that half-closes before its answer is ready gets none.
    Object.assign(this.#server, { httpAllowHalfOpen: true });
    this.#server.on('clientError', (_error, socket: Socket) => {
      if (!socket.writable) return;
      socket.end(
        `HTTP/1.1 400 Bad Request\r\n${HEAD}\r\n\r\n{"Error":"This is no HTTP request."}\n`,
      );
    });
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
      await this.#bind();
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
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
    if (isOurs) removeIfThere(this.#path);
  }

  #bind(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      // `listen` makes the file before it returns, so the file never has another mode.
      const umask = process.umask(UMASK);
      this.#server.listen(this.#path, resolve);
      process.umask(umask);
    });
  }
}

const HEAD = 'Content-Type: application/json\r\nConnection: close';

async function serve(incoming: IncomingMessage, outgoing: ServerResponse, router: Router) {
  outgoing.on('error', () => undefined);
  let answer: ApiAnswer;
  try {
    answer = await router.handle(toRequest(incoming));
  } catch (error) {
    answer = { status: 500, body: { Error: `This is a bug: ${(error as Error).message}.` } };
  }
  const isText = typeof answer.body === 'string';
  const text = isText ? (answer.body as string) : `${JSON.stringify(answer.body)}\n`;
  outgoing.writeHead(answer.status, {
    ...answer.headers,
    'Content-Type': isText ? 'text/plain; charset=utf-8' : 'application/json',
    'Content-Length': Buffer.byteLength(text),
  });
  outgoing.end(text);
}

function toRequest(incoming: IncomingMessage): ApiRequest {
  const target = incoming.url ?? '/';
  const path = target.replace(/^http:\/\/[^/]*/i, '').replace(/[?#].*$/s, '');
  return { method: incoming.method ?? 'GET', path, json: () => readJson(incoming) };
}

async function readJson(incoming: IncomingMessage): Promise<unknown> {
  const problems = new ProblemList();
  const value = parseJson(await readBody(incoming), 'body', problems);
  if (value !== undefined) return value;
  throw new HttpError(400, `The body: ${problems.list()[0]?.message ?? 'found no JSON.'}`);
}

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of incoming.iterator({ destroyOnReturn: false })) {
      size += (chunk as Buffer).length;
      if (size > MAX_BODY) break;
      chunks.push(chunk as Buffer);
    }
  } catch {
    throw new HttpError(400, 'The body was cut off.');
  }
  if (size <= MAX_BODY) return Buffer.concat(chunks);
  // The rest of the body is not read, so no other request can follow on this connection.
  throw new HttpError(413, `The body is longer than ${MAX_BODY} bytes.`, { Connection: 'close' });
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
