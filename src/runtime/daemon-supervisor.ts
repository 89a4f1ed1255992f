/**
 * Keeps pv-xconnect running, as Pantavisor keeps its managed daemons: launched, and respawned when it exits, at
 * once the first time and ever more slowly if it keeps ending.
 *
 * It never outlives this process for long, however that ends: it watches its launcher itself, as broker/relatives.ts
 * has it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { EventEmitter } from 'eventemitter3';
import { RestartBackOff } from '../kernel/back-off.js';
import type { LogFile } from './log-file.js';
import { signalIfCaught } from './signals.js';

export interface DaemonEvents {
  /** One sentence for people. */
  news: (text: string) => void;
  /** It is not there any more; what it posted is void. */
  gone: () => void;
}

const MAX_WAIT_MS = 5_000;
/** Its links are detached meanwhile, with a drain time. */
const GRACE_MS = 10_000;

export class DaemonSupervisor extends EventEmitter<DaemonEvents> {
  readonly name = 'pv-xconnect';
  readonly #argv: readonly string[];
  readonly #log: LogFile;
  readonly #backOff = new RestartBackOff(MAX_WAIT_MS);
  #process: ChildProcess | null = null;
  #respawn = false;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  /** `argv`: program and arguments. */
  constructor(argv: readonly string[], log: LogFile) {
    super();
    this.#argv = argv;
    this.#log = log;
  }

  /** 0: not running. */
  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get respawn(): boolean {
    return this.#respawn;
  }

  /** Does nothing when it runs. */
  start(): void {
    if (this.#closed) return;
    this.#respawn = true;
    this.#backOff.reset();
    clearTimeout(this.#retry);
    if (!this.#process) this.#launch();
  }

  /** Ends respawning too. Resolves when it has exited. */
  async stop(): Promise<void> {
    this.#respawn = false;
    clearTimeout(this.#retry);
    const child = this.#process;
    if (!child) return;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
    await once(child, 'exit');
    clearTimeout(timer);
  }

  async restart(): Promise<void> {
    await this.stop();
    this.start();
  }

  /** Has it look at the graph now. One that is only just starting looks by itself. */
  nudge(): void {
    if (this.pid > 0) signalIfCaught(this.pid, 'SIGHUP');
  }

  /** Stops it for good: a restart that is on its way ends here. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.stop();
    await this.#log.close();
  }

  #launch(): void {
    const began = performance.now();
    const [program, ...args] = this.#argv as [string, ...string[]];
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PVX_LAUNCHER: String(process.pid) },
      detached: true,
    });
    child.once('error', (error) => this.#ended(child, error.message, began));
    if (child.pid === undefined) return;
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) void this.#log.copy(stream);
    }
    child.once('exit', (code, signal) => {
      this.#ended(child, signal ? `signal ${signal}` : `exit code ${code}`, began);
    });
    this.emit('news', `is running, pid ${child.pid}.`);
  }

  #ended(child: ChildProcess, how: string, began: number): void {
    if (this.#process === child) this.#process = null;
    this.emit('gone');
    if (!this.#respawn) return;
    const wait = this.#backOff.next(performance.now() - began);
    const when = wait === 0 ? 'at once' : `in ${wait / 1000} s`;
    this.emit('news', `ended (${how}); it is started again ${when}.`);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#launch(), wait);
  }
}
