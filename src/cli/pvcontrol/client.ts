/** One request of pv-ctrl, over its unix socket. Bodies of any size go through without being held. */
import { statSync } from 'node:fs';
import http, { type IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** How long a connection may be silent, in milliseconds: as Pantavisor's script. */
const PATIENCE_MS = 240_000;

export interface RequestBody {
  readonly bytes: Readable | string;
  /** How many bytes; undefined where nobody knows: they are sent in chunks then. */
  readonly length: number | undefined;
}

export class RuntimeClient {
  readonly #socket: string;
  readonly #trace: (line: string) => void;

  /** `trace`: told each request and each answer, one line each. */
  constructor(socket: string, trace: (line: string) => void) {
    this.#socket = socket;
    this.#trace = trace;
  }

  /** The answer, whose body is still to be read. Rejects where there is none. */
  ask(method: string, path: string, body?: RequestBody): Promise<IncomingMessage> {
    this.#trace(`> ${method} ${path}`);
    return new Promise((resolve, reject) => {
      const length = body?.length;
      const request = http.request({
        socketPath: this.#socket,
        method,
        path,
        agent: false,
        timeout: PATIENCE_MS,
        headers: {
          Host: 'localhost',
          ...(length === undefined ? {} : { 'Content-Length': length }),
        },
      });
      request.on('timeout', () => request.destroy(new Error('there is no answer')));
      request.on('response', (response) => {
        this.#trace(`< ${response.statusCode} ${response.statusMessage}`);
        resolve(response);
      });
      request.on('error', reject);
      if (body === undefined || typeof body.bytes === 'string') request.end(body?.bytes);
      // The answer may come before all was sent, and says why then.
      else void pipeline(body.bytes, request).catch(() => undefined);
    });
  }
}

/** Where the socket is looked for, in this order: on a device, on a host, in a container. */
const SOCKETS = ['/run/pantavisor/pv/pv-ctrl', '/pv/pv-ctrl', '/pantavisor/pv-ctrl'];

/** The first one that is there; where none is, the last one. */
export function runtimeSocket(): string {
  return SOCKETS.find(isSocket) ?? (SOCKETS.at(-1) as string);
}

export function isSocket(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}

/** The whole body as text. */
export async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
