/**
 * The life of one container: started, kept running, stopped. What it is now, `status` says; one change at a time.
 *
 *   INSTALLED → STARTING → STARTED → STOPPING → STOPPED → STARTING ...
 *                  ↑  RECOVERING  ↩ ended by itself, or did not start: tried again, ever more slowly
 */
import { EventEmitter } from 'eventemitter3';
import { RestartBackOff } from '../kernel/back-off.js';
import type { ContainerSettings } from './container-settings.js';
import { describe, type Engine, type Running } from './engine.js';
import type { LogFile } from './log-file.js';

export type ContainerStatus =
  | 'INSTALLED'
  | 'STARTING'
  | 'STARTED'
  | 'RECOVERING'
  | 'STOPPING'
  | 'STOPPED';

export interface ContainerEvents {
  /** Its pid, `pid`, is another one. */
  pid: () => void;
  /** One sentence for people. */
  news: (text: string) => void;
}

const GRACE_MS = 2_000;
const MAX_WAIT_MS = 30_000;

export class Container extends EventEmitter<ContainerEvents> {
  readonly settings: ContainerSettings;
  readonly #engine: Engine;
  readonly #log: LogFile;
  readonly #backOff = new RestartBackOff(MAX_WAIT_MS);
  #status: ContainerStatus = 'INSTALLED';
  #running: Running | null = null;
  #launching: Promise<void> | null = null;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(settings: ContainerSettings, engine: Engine, log: LogFile) {
    super();
    this.settings = settings;
    this.#engine = engine;
    this.#log = log;
  }

  get status(): ContainerStatus {
    return this.#status;
  }

  /** Of its first process; 0: not running. */
  get pid(): number {
    return this.#running?.pid ?? 0;
  }

  get isWanted(): boolean {
    return ['STARTING', 'STARTED', 'RECOVERING'].includes(this.#status);
  }

  get isDown(): boolean {
    return this.#status === 'INSTALLED' || this.#status === 'STOPPED';
  }

  /** Only when down. Resolves when it has started, or failed to for the first time. */
  async start(): Promise<void> {
    this.#backOff.reset();
    if (!this.#closed) await this.#launch();
  }

  /** Resolves when nothing of it is left; at once when it is down. */
  async stop(): Promise<void> {
    if (this.isDown) return;
    this.#status = 'STOPPING';
    clearTimeout(this.#retry);
    await this.#launching;
    await this.#running?.stop(GRACE_MS);
    if (this.#status !== 'STOPPING') return; // somebody else waited here too, and went on
    this.#status = 'STOPPED';
    this.emit('news', 'is stopped.');
  }

  async restart(): Promise<void> {
    await this.stop();
    if (this.isDown) await this.start();
  }

  /** Stops it for good: a restart that is on its way ends here. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.stop();
    await this.#log.close();
  }

  #launch(): Promise<void> {
    this.#status = 'STARTING';
    this.#launching = this.#launchOnce().finally(() => {
      this.#launching = null;
    });
    return this.#launching;
  }

  async #launchOnce(): Promise<void> {
    const began = performance.now();
    const started = await this.#engine.start(
      this.settings,
      (output) => void this.#log.copy(output),
    );
    if (typeof started === 'string') {
      this.#recover(`did not start: ${started}`, performance.now() - began);
      return;
    }
    this.#running = started;
    if (this.#status === 'STARTING') this.#status = 'STARTED';
    void started.exited.then((exit) => {
      this.#running = null;
      this.emit('pid');
      this.#recover(`ended (${describe(exit)})`, performance.now() - began);
    });
    this.emit('news', `is running, pid ${started.pid}.`);
    this.emit('pid');
  }

  #recover(what: string, ranMs: number): void {
    if (!this.isWanted) return;
    this.#status = 'RECOVERING';
    const wait = this.#backOff.next(ranMs);
    const when = wait === 0 ? 'at once' : `in ${wait / 1000} s`;
    this.emit('news', `${what}; it is started again ${when}.`);
    this.#retry = setTimeout(() => void this.#launch(), wait);
  }
}
