/**
 * The one thing that the process which may use the control socket does for the one that serves the page: it connects,
 * asks, and hands the connection over with its writing half closed. So the server can read what the daemon answers,
 * and ask for nothing itself.
 */
import net, { type Socket } from 'node:net';

/** What may be asked for: everything that the page shows, and nothing that changes anything. */
export const READABLE = ['/links', '/connections', '/revision', '/events'] as const;
/** The same of the exporter. */
export const METRICS = ['/metrics'] as const;
export type Readable = (typeof READABLE)[number] | (typeof METRICS)[number];

/** What the server wants. */
export interface Ask {
  readonly id: number;
  readonly path: Readable;
  readonly query: Readonly<Record<string, string>>;
  /** Of the request's header. */
  readonly accept?: string;
}

/** `error`: why there is no connection, a sentence; null: it comes with this. */
export interface Opened {
  readonly id: number;
  readonly error: string | null;
}

/** Connections that are being made at a time. */
const MAX_OPENING = 32;
const PATIENCE_MS = 10_000;
/** Of all names and values of a query together. */
const MAX_QUERY = 8 * 1024;

/** The request for that, or null: what came is nothing that may be asked for. Pure. */
export function requestFor(
  asked: unknown,
  readable: readonly Readable[],
): { readonly id: number; readonly head: string } | null {
  const { id, path, query, accept = '' } = Object(asked) as Partial<Record<keyof Ask, unknown>>;
  const isKnown = readable.some((one) => one === path) && isHeader(accept);
  const entries = Object.entries(Object(query ?? {}) as Record<string, unknown>);
  const isText = entries.every(([, value]) => typeof value === 'string');
  if (!Number.isSafeInteger(id) || !isKnown || !isText) return null;
  const text = new URLSearchParams(entries as [string, string][]).toString();
  if (text.length > MAX_QUERY) return null;
  const line = `GET ${path as string}${text && `?${text}`} HTTP/1.0\r\nHost: localhost\r\n`;
  const accepts = accept === '' ? '' : `Accept: ${accept}\r\n`;
  return { id: id as number, head: `${line}${accepts}\r\n` };
}

function isHeader(value: unknown): value is string {
  return typeof value === 'string' && /^[\x20-\x7e]{0,1000}$/.test(value);
}

export class Opener {
  readonly #path: string;
  readonly #readable: readonly Readable[];
  readonly #send: (opened: Opened, socket?: Socket) => void;
  #opening = 0;

  /**
   * `path`: of the control socket. `readable`: what may be asked for. `send`: passes the answer on, and the connection,
   * which then is the server's.
   */
  constructor(
    path: string,
    readable: readonly Readable[],
    send: (opened: Opened, socket?: Socket) => void,
  ) {
    this.#path = path;
    this.#readable = readable;
    this.#send = send;
  }

  receive(asked: unknown): void {
    const request = requestFor(asked, this.#readable);
    if (!request) return;
    const { id, head } = request;
    if (this.#opening >= MAX_OPENING) {
      this.#send({ id, error: 'Too much is asked at a time.' });
      return;
    }
    this.#opening++;
    const socket = net.connect({ path: this.#path, allowHalfOpen: true });
    socket.pause(); // not a byte of the answer is read here
    const end = (error: string | null) => {
      clearTimeout(timer);
      socket.removeAllListeners('error').on('error', () => undefined);
      this.#opening--;
      if (error === null) this.#send({ id, error }, socket);
      else {
        socket.destroy();
        this.#send({ id, error });
      }
    };
    const timer = setTimeout(() => socket.destroy(new Error('it does not answer')), PATIENCE_MS);
    socket.once('error', (error) => end(this.#sentence(error)));
    socket.once('connect', () => socket.end(head, () => end(null)));
  }

  #sentence({ code, message }: NodeJS.ErrnoException): string {
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return `No daemon listens at ${this.#path}.`;
    if (code === 'EACCES') return `${this.#path} may not be used by this user: start this as root.`;
    return `The daemon at ${this.#path} can not be asked (${message}).`;
  }
}
