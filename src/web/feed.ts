/**
 * `GET /feed`: server-sent events (WHATWG HTML, 9.2) to each browser that looks, as wire.ts has them. Everything that
 * changed within a beat is one event. A browser that has not read what it was sent yet is sent nothing more until it
 * has, and then one difference; so at most one event of each waits here.
 */
import type { ServerResponse } from 'node:http';
import type { Picture } from './picture.js';

export interface FeedOptions {
  readonly maxBrowsers?: number;
  /** The shortest time between two events to one browser, in milliseconds. */
  readonly beatMs?: number;
  /** Interval of comment lines, which find out who has left. */
  readonly heartbeatMs?: number;
}

interface Browser {
  readonly response: ServerResponse;
  /** The last step that it was sent. */
  step: number;
  reading: boolean;
}

export class Feed {
  readonly #picture: Picture;
  readonly #browsers = new Map<ServerResponse, Browser>();
  readonly #options: Required<FeedOptions>;
  readonly #onBrowsers: (count: number) => void;
  #beat: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;

  /** `onBrowsers` is told how many look, whenever that changes. */
  constructor(picture: Picture, onBrowsers: (count: number) => void, options: FeedOptions = {}) {
    this.#picture = picture;
    this.#onBrowsers = onBrowsers;
    this.#options = { maxBrowsers: 16, beatMs: 200, heartbeatMs: 10_000, ...options };
  }

  get isFull(): boolean {
    return this.#browsers.size >= this.#options.maxBrowsers;
  }

  /** Takes the response, whose head is not sent yet. */
  add(response: ServerResponse): void {
    response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' });
    const browser = { response, step: 0, reading: true };
    this.#browsers.set(response, browser);
    response.on('drain', () => {
      browser.reading = true;
      this.changed();
    });
    response.on('close', () => {
      this.#browsers.delete(response);
      if (this.#browsers.size === 0) this.#stop();
      this.#onBrowsers(this.#browsers.size);
    });
    this.#heartbeat ??= setInterval(() => this.#keepAlive(), this.#options.heartbeatMs);
    this.#onBrowsers(this.#browsers.size);
    this.#send(browser, new Map());
  }

  /** The picture has changed: all that can take it are told within a beat. */
  changed(): void {
    if (this.#browsers.size === 0) return;
    this.#beat ??= setTimeout(() => {
      this.#beat = undefined;
      const texts = new Map<number, string>();
      for (const browser of this.#browsers.values()) this.#send(browser, texts);
    }, this.#options.beatMs);
  }

  close(): void {
    this.#stop();
    for (const { response } of this.#browsers.values()) response.destroy();
  }

  #stop(): void {
    clearTimeout(this.#beat);
    clearInterval(this.#heartbeat);
    this.#beat = undefined;
    this.#heartbeat = undefined;
  }

  #keepAlive(): void {
    for (const { response, reading } of this.#browsers.values())
      if (reading) response.write(':\n\n');
  }

  /** `texts`: what those that know the same step are sent. */
  #send(browser: Browser, texts: Map<number, string>): void {
    const { step } = this.#picture;
    if (!browser.reading || browser.step === step) return;
    const text = texts.get(browser.step) ?? this.#textSince(browser.step);
    texts.set(browser.step, text);
    browser.step = step;
    browser.reading = browser.response.write(text);
  }

  #textSince(step: number): string {
    const change = step === 0 ? null : this.#picture.since(step);
    const data = JSON.stringify(change ?? this.#picture.since(0));
    return `event: ${change ? 'change' : 'picture'}\ndata: ${data}\n\n`;
  }
}
