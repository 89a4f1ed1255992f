/**
 * The real daemon under a stand-in for the runtime of a device, with the habits of the real one: stand-ins/runtime.py
 * says which. Here is how a test talks with it.
 *
 * Its graph is what the test serves, and as that runtime's it may have all pids 0 at first (`unnamed`), entries about bus
 * names between the links, `"target": null`, `"uid": 65534`, and pids of containers that have ended.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { TestDaemon } from '../daemon.js';
import type { WireLink } from '../link.js';
import { endOf } from '../processes.js';
import { eventually } from '../wait.js';

const PROGRAM = fileURLToPath(new URL('runtime.py', import.meta.url));

/** What it answers with; each is in force from when it is told. */
export interface RuntimeSettings {
  readonly graph?: readonly unknown[];
  /** Accepts and answers nobody, until it is told otherwise. */
  readonly silent?: boolean;
  /** Known to it beside the graph; every other one is answered 400. */
  readonly endpoints?: readonly string[];
  /** Seconds between the end of the daemon and its next life. */
  readonly respawn?: number;
  /** Descriptors that it leaves to its child; of the first line only. */
  readonly leaks?: number;
}

export interface Asked {
  /** `GET /xconnect-graph`. */
  readonly request: string;
  readonly body: string;
}

export class DropIn extends TestDaemon {
  /** What the daemon asked the runtime, oldest first. */
  readonly asked: Asked[] = [];
  /** Process ids of the daemon's lives, oldest first. */
  readonly lives: number[] = [];
  readonly #args: readonly string[];
  readonly #settings: RuntimeSettings;
  #runtime: ChildProcess | null = null;

  /** `args`: of the daemon. `settings`: the runtime's first. */
  constructor(args: readonly string[], settings: RuntimeSettings = {}) {
    super(args);
    this.#args = args;
    this.#settings = settings;
  }

  /** Of the daemon, in its newest life; 0 before the first. */
  override get pid(): number {
    return this.lives.at(-1) ?? 0;
  }

  get runtimePid(): number {
    return this.#runtime?.pid as number;
  }

  /** Starts the runtime, and waits until the daemon's control socket answers. */
  override async launch(): Promise<void> {
    const pvCtrl = join(this.folder, 'pv-ctrl');
    const daemon = [`${PACKAGE_ROOT}/bin/pv-xconnect`, '--pv-ctrl', pvCtrl];
    const argv = [PROGRAM, pvCtrl, this.folder, ...daemon, '--control', this.control];
    const runtime = spawn('python3', [...argv, ...this.#args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#runtime = runtime;
    this.process = runtime;
    runtime.stdin.on('error', () => undefined);
    createInterface(runtime.stdout).on('line', (line) => this.#told(JSON.parse(line)));
    this.tell(this.#settings);
    await eventually(async () => void (await this.shown()), { timeoutMs: 10_000 });
  }

  tell(settings: RuntimeSettings): void {
    this.#runtime?.stdin?.write(`${JSON.stringify(settings)}\n`);
  }

  /** The runtime has this graph from now on; the daemon finds out by itself. */
  serve(...graph: WireLink[]): void {
    this.graph = graph;
    this.tell({ graph });
  }

  override set(...graph: WireLink[]): void {
    this.serve(...graph);
    process.kill(this.pid, 'SIGHUP');
  }

  /** Bodies of what was posted to /xconnect-status. */
  statuses(): unknown[] {
    const posted = this.asked.filter(({ request }) => request === 'POST /xconnect-status');
    return posted.map(({ body }) => JSON.parse(body) as unknown);
  }

  /** What the runtime filed of the daemon's output, over all its lives. */
  filed(stream: 'stdout' | 'stderr'): string {
    return readFileSync(join(this.folder, stream), 'utf8');
  }

  /** Sends the daemon a signal; where that ends it, the runtime starts it anew. `kill` is about the runtime. */
  signal(name: NodeJS.Signals = 'SIGKILL'): void {
    process.kill(this.pid, name);
  }

  /** Waits for the daemon's next life, and until its control socket answers. */
  async nextLife(): Promise<void> {
    const before = this.pid;
    await eventually(() => {
      if (this.pid === before) throw new Error('the daemon was not started anew');
    });
    await eventually(async () => void (await this.shown()));
  }

  override async stop(): Promise<void> {
    const runtime = this.#runtime;
    runtime?.stdin?.end();
    if (runtime) await endOf(runtime);
    for (const pid of this.lives) endOrphan(pid);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #told(line: { request?: string; body?: string; daemon?: number }): void {
    const { request, body = '', daemon } = line;
    if (request !== undefined) this.asked.push({ request, body });
    if (daemon !== undefined) this.lives.push(daemon);
  }
}

/** The same links, of containers that the runtime has not started yet. */
export function unnamed(graph: readonly WireLink[]): WireLink[] {
  return graph.map((link) => ({ ...link, consumer_pid: 0, provider_pid: 0 }));
}

/** Where the runtime was killed, its daemon may be left. */
function endOrphan(pid: number): void {
  try {
    if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('pv-xconnect'))
      process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone, as it should be.
  }
}
