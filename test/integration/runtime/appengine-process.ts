/**
 * pv-appengine as a process, on a revision that the test writes: what it says, what its socket answers, and what
 * is left of it on the host.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { endBy } from '../../support/processes.js';
import { eventually } from '../../support/wait.js';

const PROGRAM = fileURLToPath(new URL('../../../bin/pv-appengine', import.meta.url));
const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url));

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON it is, the test says what it should be
  readonly body: any;
}

export class AppEngineProcess {
  readonly folder: string;
  readonly revision: string;
  readonly pvCtrl: string;
  readonly control: string;
  /** What it printed so far, both streams. */
  said = '';
  process!: ChildProcess;

  /** `within`: where its folder is made. */
  constructor(within = tmpdir()) {
    this.folder = mkdtempSync(join(within, 'pvx-appengine-'));
    this.revision = join(this.folder, 'revision');
    this.pvCtrl = join(this.folder, 'pv-ctrl');
    this.control = join(this.folder, 'control.sock');
    chmodSync(this.folder, 0o777); // whoever it runs as
  }

  /** Files of the revision by path below it, which anybody may execute; objects become JSON, but for buffers. */
  write(files: Record<string, object | string>, folder = this.revision): void {
    for (const [name, content] of Object.entries(files)) {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      const isRaw = typeof content === 'string' || Buffer.isBuffer(content);
      writeFileSync(path, isRaw ? content : JSON.stringify(content), { mode: 0o755 });
    }
  }

  /** Starts it; resolves once pv-ctrl answers. `prefix`: a command that runs another. */
  async start(args: readonly string[] = [], prefix: readonly string[] = []): Promise<void> {
    await this.startWith([this.revision, ...args], prefix);
  }

  /** The same with other revisions, or none: whatever its arguments say. */
  async startWith(args: readonly string[], prefix: readonly string[] = []): Promise<void> {
    this.launch(args, prefix);
    await eventually(() => this.get('/buildinfo'), { timeoutMs: 15_000 });
  }

  /** Starts it on examples/NAME itself, as its reader does. */
  async startExample(name: string, prefix: readonly string[] = []): Promise<void> {
    await this.startWith([join(EXAMPLES, name)], prefix);
  }

  /** Makes examples/NAME the revision. */
  copyExample(name: string): void {
    cpSync(join(EXAMPLES, name), this.revision, { recursive: true });
  }

  launch(args: readonly string[], prefix: readonly string[] = []): void {
    const places = ['--storage', this.folder, '--pv-ctrl', this.pvCtrl, '--control', this.control];
    const argv = [...prefix, process.execPath, PROGRAM, ...places, ...args];
    this.process = spawn(argv[0] as string, argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.said += chunk.toString();
      });
    }
  }

  async get(path: string): Promise<Answer> {
    return this.ask('GET', path);
  }

  ask(method: string, path: string, body?: unknown): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = http.request({ socketPath: this.pvCtrl, method, path, agent: false });
      request.on('error', reject);
      request.on('response', async (response) => {
        let text = '';
        for await (const chunk of response) text += String(chunk);
        const isJson = response.headers['content-type']?.includes('json');
        resolve({ status: response.statusCode ?? 0, body: isJson ? JSON.parse(text) : text });
      });
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  console(container: string): string {
    return this.#log(`${container}/lxc/console.log`);
  }

  daemonLog(): string {
    return this.#log('pv-xconnect/pv-xconnect.log');
  }

  /** Waits until the console of a container has that text, or something like it. */
  async untilSaid(container: string, text: string | RegExp): Promise<void> {
    await eventually(() => expect(this.console(container)).toMatch(text), { timeoutMs: 20_000 });
  }

  /** Waits until there are links, and every one is established, but for as many that nothing can meet. */
  async connected(unmet = 0): Promise<void> {
    await eventually(
      async () => {
        const { body } = await this.get('/xconnect-graph');
        const open = body.filter(({ state }: { state: string }) => state !== 'established');
        const isAsExpected =
          open.length === unmet && open.every(({ state }: { state: string }) => state === 'unmet');
        if (body.length === unmet || !isAsExpected) throw new Error(JSON.stringify(open));
      },
      { timeoutMs: 20_000, intervalMs: 100 },
    );
  }

  /** Init pid of a container as the graph names it, once it runs. */
  async pidOf(container: string): Promise<number> {
    return eventually(
      async () => {
        const { body } = await this.get('/xconnect-graph');
        const link = body.find((one: { consumer: string; provider: string }) =>
          [one.consumer, one.provider].includes(container),
        );
        const pid = link.consumer === container ? link.consumer_pid : link.provider_pid;
        if (!(pid > 0)) throw new Error(`${container} does not run`);
        return pid as number;
      },
      { timeoutMs: 10_000 },
    );
  }

  /** Its exit code, or the name of the signal that ended it. */
  end(signal: NodeJS.Signals = 'SIGINT'): Promise<number | NodeJS.Signals> {
    return endBy(this.process, signal);
  }

  /** Command lines of live processes that have to do with this one's folder. */
  processes(): string[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => readIfThere(`/proc/${pid}/cmdline`).replaceAll('\0', ' '))
      .filter((line) => line.includes(this.folder));
  }

  async remove(): Promise<void> {
    await this.end('SIGTERM');
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What it says, with the time of each line. */
  ownLog(): string {
    return this.#log('pantavisor/pantavisor.log');
  }

  #log(name: string): string {
    return readIfThere(join(this.folder, 'logs/0', name));
  }
}

export function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
