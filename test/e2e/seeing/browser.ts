/** `pv-xconnect web` as a person starts it, and real browsers that look at its page. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { childNamed } from '../../support/processes.js';

/** Where pictures of the page are kept, for somebody to look at. */
const PICTURES = process.env.PVX_PICTURES;

const CHROMIUM = {
  executablePath: '/usr/bin/chromium',
  args: [
    ...['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic'],
    ...['--no-first-run', '--disable-background-networking', '--disable-component-update'],
    '--disable-sync',
  ],
};

export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export class Web {
  readonly #process: ChildProcess;
  /** With the token. */
  readonly url: string;
  #browser: Browser | null = null;
  /** What the pages complained of: errors of scripts, refused by the policy. */
  readonly complaints: string[] = [];

  private constructor(started: ChildProcess, url: string) {
    this.#process = started;
    this.url = url;
  }

  /** At a port that is free, and about the daemon at `control`. */
  static async start(control: string): Promise<Web> {
    const argv = ['web', '--control', control, '--listen', '127.0.0.1:0'];
    const started = spawn(`${PACKAGE_ROOT}/bin/pv-xconnect`, argv, {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [text] = await once(started.stdout as NodeJS.ReadableStream, 'data');
    const [, url = ''] = /^The page is at (http:\S+)\n$/.exec(String(text)) ?? [];
    return new Web(started, url);
  }

  /** Who connects to the control socket. */
  get openerPid(): number {
    return this.#process.pid as number;
  }

  get serverPid(): number {
    return childNamed(this.openerPid, 'node');
  }

  get origin(): string {
    return new URL(this.url).origin;
  }

  /** The cookie that the first visit gives. */
  async cookie(): Promise<string> {
    const { headers } = await this.ask(new URL(this.url).search.replace(/^/, '/'));
    return String(headers['set-cookie']?.[0]).split(';')[0] as string;
  }

  ask(path: string, headers: http.OutgoingHttpHeaders = {}, method = 'GET'): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const asked = http.request(`${this.origin}${path}`, { headers, method, agent: false });
      asked.on('error', reject);
      asked.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('close', () => {
          const body = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
        });
        // A stream has no end: its head tells what is asked for here.
        if (response.headers['content-type']?.startsWith('text/event-stream')) asked.destroy();
      });
      asked.end();
    });
  }

  /** Asks, and reads nothing of the answer's body. Returns what ends that. */
  hold(path: string, headers: http.OutgoingHttpHeaders): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const asked = http.get(`${this.origin}${path}`, { headers, agent: false });
      asked.on('error', reject);
      asked.on('response', (response) => {
        response.pause();
        response.on('error', () => undefined); // it is ended in the middle
        resolve(() => asked.destroy());
      });
    });
  }

  async open(options: BrowserContextOptions = {}): Promise<Page> {
    this.#browser ??= await chromium.launch(CHROMIUM);
    const page = await this.#browser.newPage({
      viewport: { width: 1280, height: 800 },
      ...options,
    });
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('dialog', (dialog) => {
      this.complaints.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('console', (message) => {
      if (/Content Security Policy|Trusted/.test(message.text()))
        this.complaints.push(message.text());
    });
    await page.goto(this.url);
    return page;
  }

  /** Keeps a picture, if somebody wants to look at it. */
  async picture(page: Page, name: string): Promise<void> {
    if (PICTURES) await page.screenshot({ path: `${PICTURES}/${name}.png` });
  }

  /** Resolves with its exit code. */
  async stop(): Promise<number> {
    await this.#browser?.close();
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGINT');
    const [code] = await ended;
    return code;
  }
}

/** What is read again until it is as expected. */
export const soon = <T>(read: () => T | Promise<T>) => expect.poll(read, { timeout: 20_000 });

/** The rows of the table that are elements at the moment. */
export const rowsOf = (page: Page) => page.locator('tbody tr:not(.space)');

/** What a person sees of the table's size: its rows, without the head. */
export async function countOf(page: Page): Promise<number> {
  return Number(await page.locator('table').getAttribute('aria-rowcount')) - 1;
}
