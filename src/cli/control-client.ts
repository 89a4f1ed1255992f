/**
 * The client of a running daemon's control socket. A failure is a sentence that says what to do.
 */
import http, { type IncomingMessage } from 'node:http';
import { revisionFromWire, type WireRevision } from '../graph/revision-wire.js';
import type { Revision } from '../manifest/revision.js';

export type Got<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: string };

type Method = 'GET' | 'POST';

/** The longest silence before and within an answer, in milliseconds. */
const PATIENCE_MS = 10_000;
const MAX_ANSWER = 256 * 1024 * 1024;
/** What is asked to be done is done, or begun; or it is not, and the answer says why. */
const DONE = [200, 202];
const REFUSED = [400, 403, 404, 409, 429, 503];

export class ControlClient {
  readonly #socketPath: string;
  readonly #patienceMs: number;

  /** `socketPath`: path of the daemon's control socket. `patienceMs`: the longest silence before an answer. */
  constructor(socketPath: string, patienceMs = PATIENCE_MS) {
    this.#socketPath = socketPath;
    this.#patienceMs = patienceMs;
  }

  /** The JSON at `path`. Never rejects. */
  async get(path: string): Promise<Got<unknown>> {
    const opened = await this.#open(path, 'GET');
    return opened.ok ? this.#json(opened.value) : opened;
  }

  /** Asks for something to be done. `error`: why it is not, as the daemon says it. Never rejects. */
  async post(path: string): Promise<Got<unknown>> {
    const asked = await this.#ask(path, 'POST');
    if (!asked.ok) return asked;
    const isDone = DONE.includes(asked.value.statusCode ?? 0);
    return isDone ? this.#json(asked.value) : this.#refused(path, asked.value);
  }

  async #refused(path: string, response: IncomingMessage): Promise<Got<never>> {
    const answer = await this.#json(response);
    if (!answer.ok) return answer;
    const { statusCode: status = 0 } = response;
    const { Error: error } = Object(answer.value) as Record<string, unknown>;
    if (REFUSED.includes(status) && typeof error === 'string') return { ok: false, error };
    return this.#odd(`status ${status} for ${path}`);
  }

  /** The text at `path`. Never rejects. */
  async text(path: string): Promise<Got<string>> {
    const opened = await this.#open(path, 'GET');
    return opened.ok ? this.#text(opened.value) : opened;
  }

  async #json(response: IncomingMessage): Promise<Got<unknown>> {
    const text = await this.#text(response);
    if (!text.ok) return text;
    try {
      return { ok: true, value: JSON.parse(text.value) };
    } catch {
      return this.#odd('no JSON');
    }
  }

  async #text(response: IncomingMessage): Promise<Got<string>> {
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      for await (const chunk of response) {
        size += (chunk as Buffer).length;
        if (size > MAX_ANSWER) return this.#odd(`more than ${MAX_ANSWER} bytes`);
        chunks.push(chunk as Buffer);
      }
    } catch {
      return this.#odd('half an answer');
    }
    return { ok: true, value: Buffer.concat(chunks).toString() };
  }

  /** The revision that the daemon builds its graph from; null: a runtime builds it. */
  async revision(): Promise<Got<Revision | null>> {
    const got = await this.get('/revision');
    if (!got.ok) return got;
    return {
      ok: true,
      value: got.value === null ? null : revisionFromWire(got.value as WireRevision),
    };
  }

  /**
   * Listens to the changes of links. Resolves once it does, with a function that ends it. `onChange`: one or
   * several changes; `onEnd`: the daemon ended it.
   */
  async follow(onChange: () => void, onEnd: () => void): Promise<Got<() => void>> {
    let line = '';
    const onText = (text: string) => {
      const lines = (line + text).split('\n');
      if (lines.some((one) => one.startsWith('event:'))) onChange();
      line = (lines.pop() ?? '').slice(0, 'event:'.length - 1); // only the begin of a line matters
    };
    return this.#stream('/events', onText, onEnd, 'GET');
  }

  /** The same for any stream of events at `path`: `onData` is given the data of each. `POST`: it is asked for. */
  async data(
    path: string,
    onData: (value: unknown) => void,
    onEnd: () => void,
    method: Method = 'GET',
  ): Promise<Got<() => void>> {
    let line = '';
    const onText = (text: string) => {
      const lines = (line + text).split('\n');
      line = lines.pop() ?? '';
      for (const one of lines) if (one.startsWith('data: ')) onData(JSON.parse(one.slice(6)));
    };
    return this.#stream(path, onText, onEnd, method);
  }

  async #stream(
    path: string,
    onText: (text: string) => void,
    onEnd: () => void,
    method: Method,
  ): Promise<Got<() => void>> {
    const opened = await this.#open(path, method);
    if (!opened.ok) return opened;
    const stream = opened.value;
    stream.socket.setTimeout(0);
    stream.setEncoding('utf8');
    stream.on('data', onText);
    stream.on('error', () => {}); // 'close' follows
    stream.on('close', onEnd);
    const end = () => {
      stream.off('close', onEnd);
      stream.destroy();
    };
    return { ok: true, value: end };
  }

  /** A response with status 200, its body still to be read. */
  async #open(path: string, method: Method): Promise<Got<IncomingMessage>> {
    const asked = await this.#ask(path, method);
    if (!asked.ok || asked.value.statusCode === 200) return asked;
    if (method === 'POST') return this.#refused(path, asked.value);
    asked.value.destroy();
    return this.#odd(`status ${asked.value.statusCode} for ${path}`);
  }

  #ask(path: string, method: Method): Promise<Got<IncomingMessage>> {
    return new Promise((resolve) => {
      const request = http.request({
        socketPath: this.#socketPath,
        path,
        method,
        agent: false,
        headers: { Host: 'localhost' },
        timeout: this.#patienceMs,
      });
      request.on('timeout', () => request.destroy(new Error('it does not answer')));
      request.on('error', (error) => resolve({ ok: false, error: this.#unreachable(error) }));
      request.on('response', (value) => resolve({ ok: true, value }));
      request.end();
    });
  }

  #unreachable(error: NodeJS.ErrnoException): string {
    const path = this.#socketPath;
    if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') {
      return `No daemon listens at ${path}: start pv-xconnect, or say where its socket is with --control.`;
    }
    if (error.code === 'EACCES') {
      return `${path} may not be used by this user: become root, or a user who may.`;
    }
    return `The daemon at ${path} can not be asked (${error.message}): look at its log.`;
  }

  #odd(found: string): { ok: false; error: string } {
    const error = `Found ${found} at ${this.#socketPath}, expected an answer of pv-xconnect: check --control.`;
    return { ok: false, error };
  }
}
