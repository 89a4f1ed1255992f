/**
 * HTTP to the runtime or the container engine, one request a connection, over whatever socket it is given.
 *
 * Takes any legal answer (RFC 9112): split anywhere, chunked, with a length, or neither and read to the close;
 * HTTP/1.0 too. Time and size are bounded, and every failure is a value: the peer's `away` where it can't be reached or
 * the connection broke, its `slow` where no whole answer came in time, its `senseless` where the answer makes no sense.
 */
import http from 'node:http';
import type net from 'node:net';
import { bootTicks } from '../kernel/boot-clock.js';
import { type ErrorCode, XConnectError } from '../kernel/errors.js';
import { isObject } from '../manifest/json.js';
import { printable } from '../manifest/text.js';
import { ByteSink } from './byte-sink.js';

export interface RuntimeClientOptions {
  /** A connected stream socket, ours from then on; rejects where the runtime can't be reached. */
  readonly connect: () => Promise<net.Socket>;
  /** For connecting, asking and the whole answer together. */
  readonly timeoutMs: number;
  /** Of the body of an answer. */
  readonly maxBytes: number;
  /** Absent: the runtime. */
  readonly peer?: Peer;
}

/** Who is asked: how messages call it, and the codes of its failures. */
export interface Peer {
  readonly name: string;
  readonly away: ErrorCode;
  /** It took the request, as it seems, and did not answer in time. */
  readonly slow: ErrorCode;
  readonly senseless: ErrorCode;
}

const RUNTIME: Peer = {
  name: 'The runtime',
  away: 'runtime-away',
  slow: 'runtime-away',
  senseless: 'runtime-answer',
};

export interface RuntimeRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** JSON. */
  readonly body?: string;
}

export interface RuntimeAnswer {
  readonly status: number;
  readonly body: Buffer;
  /** Ticks since boot when the request was sent, see GraphSnapshot. */
  readonly stamp: number;
  /** When its head was there, by performance.now(): what came before was waiting, and not work. */
  readonly beganAt: number;
}

const UNKNOWN_ENDPOINT = /^unknown endpoint\b/i;

/** The runtime has no such path: 404, or Pantavisor's way to say it, a 400 with `{"Error": "unknown endpoint..."}`. */
export function isUnknownEndpoint(answer: Pick<RuntimeAnswer, 'status' | 'body'>): boolean {
  if (answer.status === 404) return true;
  return answer.status === 400 && UNKNOWN_ENDPOINT.test(wordsOf(answer) ?? '');
}

/** Why it refused, in its own words: `Error` of a JSON object, as runtimes have it. Not made printable. */
export function wordsOf({ body }: Pick<RuntimeAnswer, 'body'>): string | undefined {
  try {
    const value: unknown = JSON.parse(body.toString());
    const words = isObject(value) ? value.Error : undefined;
    return typeof words === 'string' && words !== '' ? words : undefined;
  } catch {
    return undefined; // not JSON: its status says what there is to say
  }
}

export class RuntimeClient {
  readonly #options: RuntimeClientOptions;
  readonly #underWay = new Set<() => void>();

  constructor(options: RuntimeClientOptions) {
    this.#options = options;
  }

  /** Never rejects. Its socket and timer are gone when it resolves. `timeoutMs`: absent, as of all requests. */
  ask(
    request: RuntimeRequest,
    timeoutMs = this.#options.timeoutMs,
  ): Promise<RuntimeAnswer | XConnectError> {
    const { connect, maxBytes, peer = RUNTIME } = this.#options;
    return new Promise((resolve) => {
      let socket: net.Socket | undefined;
      let settled = false;
      const settle = (result: RuntimeAnswer | XConnectError) => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        this.#underWay.delete(cancel);
        socket?.destroy();
        resolve(result);
      };
      const cancel = () => settle(away(peer, 'it is no longer asked'));
      const timer = setTimeout(() => settle(slow(peer, timeoutMs)), timeoutMs);
      this.#underWay.add(cancel);
      (async () => connect())().then(
        (made) => {
          socket = made;
          if (settled) made.destroy();
          else exchange(made, request, { maxBytes, peer }, settle);
        },
        (thrown) => settle(notReached(peer, thrown)),
      );
    });
  }

  /** Ends what is under way. */
  stop(): void {
    for (const cancel of [...this.#underWay]) cancel();
  }
}

function exchange(
  socket: net.Socket,
  { method, path, body }: RuntimeRequest,
  { maxBytes, peer }: { readonly maxBytes: number; readonly peer: Peer },
  settle: (result: RuntimeAnswer | XConnectError) => void,
): void {
  const stamp = bootTicks();
  const request = http.request({
    method,
    path,
    headers: {
      Host: 'localhost',
      Connection: 'close',
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }),
    },
    createConnection: () => socket,
  });
  request.on('error', (error) => settle(broken(peer, error)));
  request.on('upgrade', () => settle(senseless(peer, 'a change of protocol')));
  request.on('response', (response) => {
    const beganAt = performance.now();
    const sink = new ByteSink(maxBytes);
    response.on('error', (error) => settle(broken(peer, error)));
    response.on('data', (chunk: Buffer) => {
      if (!sink.add(chunk)) settle(senseless(peer, `an answer of more than ${maxBytes} bytes`));
    });
    response.on('end', () =>
      settle({ status: response.statusCode ?? 0, body: sink.bytes(), stamp, beganAt }),
    );
  });
  request.end(body);
}

/** `thrown`: why there is no connection. */
export function notReached(peer: Peer, thrown: unknown): XConnectError {
  return thrown instanceof XConnectError ? thrown : away(peer, reason(thrown), thrown);
}

/** `error`: of the connection or of the parser of HTTP, whose codes are HPE_.... */
export function broken(peer: Peer, error: Error): XConnectError {
  const { code } = error as NodeJS.ErrnoException;
  return code?.startsWith('HPE_')
    ? senseless(peer, 'bytes that are not HTTP')
    : away(peer, reason(error), error);
}

function reason(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return printable(text);
}

/** `why`: the end of a sentence. */
export function away({ name, away }: Peer, why: string, cause?: unknown): XConnectError {
  return failure(away, `${name} can not be asked: ${why}.`, cause);
}

export function slow({ name, slow }: Peer, timeoutMs: number): XConnectError {
  return failure(slow, `${name} can not be asked: it did not answer within ${timeoutMs / 1000} s.`);
}

export function senseless({ name, senseless }: Peer, found: string): XConnectError {
  return failure(senseless, `${name} sent ${found}, expected an HTTP answer in JSON.`);
}

function failure(code: ErrorCode, message: string, cause?: unknown): XConnectError {
  return new XConnectError(code, message, cause === undefined ? {} : { cause });
}
