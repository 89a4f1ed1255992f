/**
 * The daemon's answers, read from connections that the opener has made: an HTTP/1.0 head, and a body to the end.
 */
import type { Socket } from 'node:net';
import type { Got } from '../cli/control-client.js';
import type { Ask, Opened, Readable } from './opener.js';

const MAX_ANSWER = 64 * 1024 * 1024;
const MAX_HEAD = 16 * 1024;
/** The longest silence before and within an answer, in milliseconds. A stream has a comment line every 15 s. */
const PATIENCE_MS = 10_000;
const STREAM_PATIENCE_MS = 40_000;

interface Text {
  readonly type: string;
  readonly body: string;
}

/** An event of a stream: its name and its data, JSON. */
export type OnEvent = (name: string, data: unknown) => void;

export class Answers {
  readonly #send: (ask: Ask) => void;
  readonly #waiting = new Map<number, (got: Got<Socket>) => void>();
  #asked = 0;

  /** `send`: to the opener. */
  constructor(send: (ask: Ask) => void) {
    this.#send = send;
  }

  /** What the opener says. The connection is ours. */
  receive({ id, error }: Opened, socket: Socket | undefined): void {
    const settle = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (!settle) socket?.destroy();
    else if (socket) settle({ ok: true, value: socket });
    else settle({ ok: false, error: error ?? 'The daemon has closed the connection.' });
  }

  /** The JSON at a path. Never rejects. */
  async get(path: Readable, query: Ask['query'] = {}): Promise<Got<unknown>> {
    const got = await this.text(path, query);
    if (!got.ok) return got;
    try {
      return { ok: true, value: JSON.parse(got.value.body) };
    } catch {
      return odd('no JSON');
    }
  }

  /** What is at a path, and of which type it is; `accept`: of the request's header. Never rejects. */
  async text(path: Readable, query: Ask['query'] = {}, accept?: string): Promise<Got<Text>> {
    const opened = await this.#open({ path, query, ...(accept !== undefined && { accept }) });
    if (!opened.ok) return opened;
    const socket = opened.value;
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('it does not answer')));
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        chunks.push(chunk);
        size += chunk.length;
        if (size > MAX_ANSWER) return odd(`more than ${MAX_ANSWER} bytes`);
      }
    } catch (thrown) {
      return odd((thrown as Error).message);
    } finally {
      socket.destroy();
    }
    const text = Buffer.concat(chunks).toString();
    const end = text.indexOf('\r\n\r\n');
    const status = statusOf(text);
    if (end < 0 || status !== 200) return odd(end < 0 ? 'half an answer' : `status ${status}`);
    const [, type = ''] = /^content-type: *(.*)$/im.exec(text.slice(0, end)) ?? [];
    return { ok: true, value: { type: type.trim(), body: text.slice(end + 4) } };
  }

  /**
   * Listens to `/events`. Resolves once it does, with a function that ends it. `onEnd` is called once, if the daemon
   * ends it.
   */
  async follow(onEvent: OnEvent, onEnd: () => void): Promise<Got<() => void>> {
    const opened = await this.#open({ path: '/events', query: {} });
    if (!opened.ok) return opened;
    const socket = opened.value;
    const parser = new EventParser(onEvent);
    socket.setEncoding('utf8');
    socket.setTimeout(STREAM_PATIENCE_MS, () => socket.destroy());
    return new Promise((resolve) => {
      let listening = false;
      socket.on('data', (text: string) => {
        if (!parser.push(text)) {
          socket.destroy();
        } else if (!listening && parser.isOpen) {
          listening = true;
          resolve({ ok: true, value: end });
        }
      });
      socket.on('error', () => undefined); // 'close' follows
      socket.on('end', () => socket.destroy());
      const onClose = () => {
        if (listening) onEnd();
        else resolve(odd('no stream of events'));
      };
      socket.on('close', onClose);
      socket.resume();
      const end = () => {
        socket.off('close', onClose);
        socket.destroy();
      };
    });
  }

  #open(ask: Omit<Ask, 'id'>): Promise<Got<Socket>> {
    const id = ++this.#asked;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#send({ id, ...ask });
    });
  }
}

/** Pieces of a response with server-sent events to events. What is not complete yet is bounded. */
export class EventParser {
  readonly #onEvent: OnEvent;
  #rest = '';
  #name = '';
  isOpen = false;

  constructor(onEvent: OnEvent) {
    this.#onEvent = onEvent;
  }

  /** False: this is no stream of events, or a line of it is too long. */
  push(text: string): boolean {
    this.#rest += text;
    if (!this.isOpen) {
      const end = this.#rest.indexOf('\r\n\r\n');
      if (end < 0) return this.#rest.length < MAX_HEAD;
      if (statusOf(this.#rest) !== 200) return false;
      this.#rest = this.#rest.slice(end + 4);
      this.isOpen = true;
    }
    const lines = this.#rest.split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.every((line) => this.#take(line)) && this.#rest.length < MAX_ANSWER;
  }

  #take(line: string): boolean {
    if (line.startsWith('event: ')) this.#name = line.slice(7);
    if (!line.startsWith('data: ')) return true;
    try {
      this.#onEvent(this.#name, JSON.parse(line.slice(6)));
      return true;
    } catch {
      return false;
    }
  }
}

function statusOf(text: string): number {
  return Number(/^HTTP\/1\.\d (\d{3})/.exec(text)?.[1] ?? 0);
}

function odd(found: string): { ok: false; error: string } {
  return { ok: false, error: `The daemon's answer was not understood (${found}).` };
}
