/**
 * The edge of lifecycle/lifecycle.ts: hands it what happens to one container, and does what it says with the engine and
 * with timers. The engine is asked for one thing at a time, in the order in which it was decided.
 */
import { EventEmitter } from 'eventemitter3';
import { startTicksOfPid } from '../kernel/boot-clock.js';
import { SerialQueue } from '../kernel/serial-queue.js';
import type { ContainerEnd } from '../manifest/link-values.js';
import { CLEAN_EXIT } from './child-process.js';
import type { ContainerSettings } from './container-settings.js';
import type { Engine, EngineContainer } from './engines/engine.js';
import {
  type By,
  type ContainerStatus,
  hasReached,
  INSTALLED,
  type Lifecycle,
  type LifecycleAction,
  type LifecycleEvent,
  step,
} from './lifecycle/lifecycle.js';
import { type Recovery, recoveryOf } from './lifecycle/recovery.js';
import type { LogFile } from './log-file.js';
import { endWithin, type Running } from './supervisor.js';

/** How long it may take to end when it is asked to, in milliseconds. */
const GRACE_MS = 5_000;

export interface ContainerEvents {
  /** Something of it is another one: the status, whether it is stable, how it ended. */
  change: () => void;
  /** `pid` is another one. */
  pid: () => void;
  /** One sentence for people, without its subject. */
  news: (text: string) => void;
  /** Its retries are used up, and the revision is to be started anew. */
  reboot: () => void;
}

export class ContainerSupervisor extends EventEmitter<ContainerEvents> {
  readonly settings: ContainerSettings;
  readonly recovery: Recovery;
  readonly #container: EngineContainer;
  readonly #engine: Engine;
  readonly #log: LogFile;
  readonly #graceMs: number;
  readonly #work = new SerialQueue();
  #lifecycle: Lifecycle = INSTALLED;
  #running: Running | null = null;
  #startTicks = 0;
  #end: { readonly how: string; readonly times: number } | null = null;
  #wait: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #closed = false;

  /** `log`: what the container writes. */
  constructor(container: EngineContainer, engine: Engine, log: LogFile, graceMs = GRACE_MS) {
    super();
    this.settings = container.settings;
    this.recovery = recoveryOf(container.settings.autoRecovery);
    this.#container = container;
    this.#engine = engine;
    this.#log = log;
    this.#graceMs = graceMs;
  }

  /** In which it was started; undefined where that was not said. */
  get revision(): string | undefined {
    return this.#container.files.revision;
  }

  get status(): ContainerStatus {
    return this.#lifecycle.status;
  }

  /** When that process began, in ticks since boot (proc_pid_stat(5), field 22): no other one has both. 0: nobody knows. */
  get startTicks(): number {
    return this.#running === null ? 0 : this.#startTicks;
  }

  get lifecycle(): Lifecycle {
    return this.#lifecycle;
  }

  /** Of its first process; 0: it does not run. */
  get pid(): number {
    return this.#running?.pid ?? 0;
  }

  /** How it ended last, how often since the revision began, and the file on the host that has what it wrote. */
  get end(): ContainerEnd | null {
    return this.#end && { ...this.#end, log: this.#log.path };
  }

  /** It does not run, and nothing is under way that would have it run. */
  get isDown(): boolean {
    return ['INSTALLED', 'BLOCKED', 'MOUNTED', 'STOPPED'].includes(this.status);
  }

  /** It is where it is wanted. */
  get hasReachedGoal(): boolean {
    return hasReached(this.#lifecycle, this.settings.statusGoal);
  }

  /** It has reached its goal, and stayed there as long as it has to. */
  get isProven(): boolean {
    return (
      this.hasReachedGoal && (this.#lifecycle.isStable || this.settings.statusGoal === 'MOUNTED')
    );
  }

  /** It waits for an earlier group. */
  block(): void {
    this.#on({ is: 'block' });
  }

  /** What its group's turn means for it. */
  begin(): Promise<void> {
    return this.settings.statusGoal === 'MOUNTED' ? this.mount() : this.start();
  }

  mount(): Promise<void> {
    return this.#settledAfter({ is: 'mount' });
  }

  /** Resolves when it runs, or could not be launched for the first time. Does nothing where it runs, or was closed. */
  start(by: By = 'runtime'): Promise<void> {
    return this.#settledAfter({ is: 'start', by });
  }

  /** Resolves when nothing of it is left, or it was told to start again meanwhile. */
  stop(by: By = 'runtime'): Promise<void> {
    return this.#settledAfter({ is: 'stop', by });
  }

  restart(): Promise<void> {
    return this.#settledAfter({ is: 'restart' });
  }

  /** It says that it is ready. */
  ready(): void {
    this.#on({ is: 'ready' });
  }

  /** Stops it for good. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#settledAfter({ is: 'stop', by: 'runtime' });
    await this.#work.run(() => this.#engine.unmount(this.#container));
    await this.#log.close();
  }

  #settledAfter(event: LifecycleEvent): Promise<void> {
    const isClosing = event.is === 'stop';
    if (!this.#closed || isClosing) this.#on(event);
    const isSettled = () =>
      this.status !== 'STARTING' && this.status !== 'STOPPING' && !this.#lifecycle.isMounting;
    return new Promise((resolve) => {
      const look = () => {
        if (!isSettled()) return;
        this.off('change', look);
        resolve();
      };
      this.on('change', look);
      look();
    });
  }

  #on(event: LifecycleEvent): void {
    const rules = { goal: this.settings.statusGoal, recovery: this.recovery };
    const before = this.#lifecycle;
    const { next, actions } = step(before, event, performance.now(), rules);
    this.#lifecycle = next;
    for (const action of actions) this.#do(action);
    if (next !== before) this.emit('change');
  }

  #do(action: LifecycleAction): void {
    switch (action.do) {
      case 'mount':
        void this.#work.run(() => this.#mount());
        return;
      case 'launch':
        void this.#work.run(() => this.#launch());
        return;
      case 'end':
        void this.#endIt();
        return;
      case 'unmount':
        void this.#work.run(() => this.#unmount());
        return;
      case 'wait':
        this.#wait = setTimeout(() => this.#on({ is: 'wait-over' }), action.ms);
        return;
      case 'watch':
        this.#watch = setTimeout(() => this.#on({ is: 'stable' }), action.ms);
        return;
      case 'forget':
        clearTimeout(this.#wait);
        clearTimeout(this.#watch);
        return;
      case 'reboot':
        this.emit('reboot');
        return;
      case 'say':
        this.emit('news', action.text);
    }
  }

  async #mount(): Promise<void> {
    const mounted = await this.#engine.mount(this.#container);
    this.#on(mounted.ok ? { is: 'mounted' } : { is: 'not-mounted', why: mounted.why });
  }

  /** One that was stopped again before its turn is not launched. */
  async #launch(): Promise<void> {
    if (this.status !== 'STARTING') {
      this.#on({ is: 'not-launched', why: 'it was stopped' });
      return;
    }
    const launched = await this.#engine.start(this.#container, (output) => {
      void this.#log.copy(output);
    });
    if (!launched.ok) {
      this.#on({ is: 'not-launched', why: launched.why });
      return;
    }
    const running = launched.value;
    this.#running = running;
    this.#startTicks = startTicksOfPid(running.pid);
    // Before anybody else waits for its end: `pid` is up to date for all of them.
    void running.exited.then((how) => {
      this.#running = null;
      this.#end = { how, times: (this.#end?.times ?? 0) + 1 };
      this.emit('pid');
      this.#on({ is: 'ended', how, isClean: how === CLEAN_EXIT });
    });
    this.#on({ is: 'launched', pid: running.pid });
    this.emit('pid');
  }

  async #endIt(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    await endWithin(running, this.#graceMs, () =>
      this.emit('news', `did not end within ${this.#graceMs / 1000} s and is killed.`),
    );
  }

  /** It may have been started again meanwhile. */
  async #unmount(): Promise<void> {
    if (this.status === 'STOPPED') await this.#engine.unmount(this.#container);
  }
}
