/**
 * The real daemon under a runtime of the test's own: a pv-ctrl socket that serves whatever graph the test sets.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { PACKAGE_ROOT } from '../../src/relay/native.js';
import type { WireLink } from './link.js';
import { childNamed, endBy, endOf, statusOf } from './processes.js';
import { eventually } from './wait.js';

export interface ShownLink extends WireLink {
  readonly state: string;
  readonly last_error: { code: string; message: string } | null;
  readonly connections: { active: number; total: number };
  readonly bytes: { to_provider: number; to_consumer: number };
}

/** A request over a unix socket; the body parsed where it is JSON. */
export function request(socketPath: string, path: string, method = 'GET'): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asked = http.request({ socketPath, path, method, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const isJson = response.headers['content-type']?.includes('json');
        resolve(isJson ? JSON.parse(text) : text);
      });
    });
    asked.once('error', reject);
    asked.end();
  });
}

export interface TestDaemonOptions {
  /** A program that executes the daemon in its own place. */
  readonly prefix?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Absent: that of this package. */
  readonly program?: string;
}

export class TestDaemon {
  /** Arrays that were posted to /xconnect-status, oldest first. */
  readonly posted: unknown[] = [];
  readonly control: string;
  /** What a question for the owner of a bus name is answered with: a status. */
  onActivate: (body: unknown) => Promise<number> = () => Promise.resolve(404);
  graph: readonly WireLink[] = [];
  process: ChildProcess | null = null;
  /** All that it printed, and each stream of it. */
  log = '';
  readonly printed = { stdout: '', stderr: '' };
  protected readonly folder = mkdtempSync(join(tmpdir(), 'pvx-daemon-'));
  readonly #server: http.Server;
  readonly #args: readonly string[];
  readonly #options: TestDaemonOptions;
  #held: { asked: () => void; answer: Promise<readonly WireLink[]> } | null = null;

  constructor(args: readonly string[], options: TestDaemonOptions = {}) {
    this.#args = args;
    this.#options = options;
    this.control = join(this.folder, 'control.sock');
    this.#server = http.createServer((asked, answer) => {
      if (asked.method === 'GET') {
        answer.setHeader('Content-Type', 'application/json');
        this.#held?.asked();
        const graph = this.#held?.answer ?? Promise.resolve(this.graph);
        void graph.then((links) => answer.end(JSON.stringify(links)));
        return;
      }
      const chunks: Buffer[] = [];
      asked.on('data', (chunk: Buffer) => chunks.push(chunk));
      asked.on('end', () => {
        const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
        if (asked.url === '/xconnect/dbus/activate') {
          void this.onActivate(body).then((status) => {
            answer.writeHead(status).end(JSON.stringify({ Error: 'The test says no.' }));
          });
          return;
        }
        this.posted.push(body);
        answer.end('{}');
      });
    });
  }

  /** Of the process that was launched, the parent of the others. */
  get pid(): number {
    return this.process?.pid as number;
  }

  /** Of the daemon itself; 0: there is none now. */
  get daemonPid(): number {
    return childNamed(this.pid, 'node');
  }

  get relayPid(): number {
    return childNamed(this.pid, 'pvx-relay');
  }

  get brokerPid(): number {
    return childNamed(this.pid, 'pvx-broker');
  }

  /** Starts the daemon (again), and waits until its control socket answers. */
  async launch(): Promise<void> {
    const pvCtrl = join(this.folder, 'pv-ctrl');
    if (!this.#server.listening) {
      await new Promise<void>((resolve) => this.#server.listen(pvCtrl, resolve));
    }
    const args = ['--pv-ctrl', pvCtrl, '--control', this.control, ...this.#args];
    const { prefix = [], env, program: own = `${PACKAGE_ROOT}/bin/pv-xconnect` } = this.#options;
    const [program = '', ...rest] = [...prefix, own, ...args];
    const child = spawn(program, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.process = child;
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (chunk: Buffer) => {
        this.log += chunk.toString();
        this.printed[name] += chunk.toString();
      });
    }
    await eventually(async () => void (await this.shown()), { timeoutMs: 10_000 });
  }

  /** Has the daemon look at a new graph at once. */
  set(...graph: WireLink[]): void {
    this.graph = graph;
    process.kill(this.pid, 'SIGHUP');
  }

  /** Keeps the daemon's next questions for the graph waiting; every one gets the answer, until `release`. */
  hold(): { asked: Promise<void>; answer(...graph: WireLink[]): void } {
    let answer: (graph: readonly WireLink[]) => void = () => {};
    const answered = new Promise<readonly WireLink[]>((resolve) => {
      answer = resolve;
    });
    const asked = new Promise<void>((resolve) => {
      this.#held = { asked: resolve, answer: answered };
    });
    process.kill(this.pid, 'SIGHUP');
    return { asked, answer: (...graph) => answer(graph) };
  }

  release(): void {
    this.#held = null;
  }

  async shown(): Promise<ShownLink[]> {
    return (await request(this.control, '/xconnect-graph')) as ShownLink[];
  }

  /** Waits until each link of the graph, by its service's name, is in that state, with the role that it was set to. */
  async until(states: Record<string, string>, timeoutMs = 10_000): Promise<ShownLink[]> {
    return eventually(
      async () => {
        const shown = await this.shown();
        const now = Object.fromEntries(shown.map(({ name, state }) => [name, state]));
        const same = JSON.stringify(sorted(now)) === JSON.stringify(sorted(states));
        if (!same) {
          const errors = shown.map(({ last_error }) => last_error?.message ?? '');
          throw new Error(`states are ${JSON.stringify(now)} ${errors.join(' ')}`);
        }
        const isLooked = shown.every(({ target, role }) =>
          this.graph.every((link) => link.target !== target || link.role === role),
        );
        if (!isLooked) throw new Error('the daemon has not looked at the graph yet');
        return shown;
      },
      { timeoutMs },
    );
  }

  /** Waits until the first link, or that one, has so many connections. */
  async untilActive(count: number, name?: string, timeoutMs = 10_000): Promise<void> {
    await eventually(
      async () => {
        const shown = await this.shown();
        const link = name === undefined ? shown[0] : shown.find((one) => one.name === name);
        expect(link?.connections.active).toBe(count);
      },
      { timeoutMs },
    );
  }

  /** Ends all links, and waits until they are gone. */
  async clear(): Promise<void> {
    this.set();
    await this.until({});
  }

  /** Bytes resident, of the daemon and the relay. */
  memory(): number {
    const sizes = [this.daemonPid, this.relayPid].map((pid) => statusOf(pid)('VmRSS') ?? '');
    return sizes.reduce((sum, size) => sum + Number.parseInt(size, 10) * 1024, 0);
  }

  /** How it ended, once it has: exit code or signal. */
  exited(): Promise<number | NodeJS.Signals> {
    return endOf(this.process as ChildProcess);
  }

  /** Ends it by a signal, as somebody else might; `launch` starts it again. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | NodeJS.Signals> {
    return endBy(this.process as ChildProcess, signal);
  }

  async stop(): Promise<void> {
    if (this.process) await this.kill('SIGTERM');
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function sorted(states: Record<string, string>): [string, string][] {
  return Object.entries(states).sort(([a], [b]) => (a < b ? -1 : 1));
}

export async function startDaemon(...args: string[]): Promise<TestDaemon> {
  const daemon = new TestDaemon(args);
  await daemon.launch();
  return daemon;
}
