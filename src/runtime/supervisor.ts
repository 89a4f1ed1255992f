/**
 * Keeps the daemon or the hosted bus running; of containers lifecycle/ does. It is launched, launched again when it ends
 * by itself or could not be launched (at once the first time, then after ever longer waits), and stopped: it is asked to
 * end, and killed after a time.
 *
 *             start                launched
 *     DOWN ───────────▶ STARTING ───────────▶ RUNNING
 *      ▲                 ▲    │                  │
 *      │       the wait  │    │ could not be     │ it ended
 *      │       is over,  │    │ launched         │ by itself
 *      │       or start  │    ▼                  │
 *      │                WAITING ◀────────────────┘
 *      │ it has ended     │                      │
 *   STOPPING ◀────────────┴──────────────────────┘
 *                        stop
 *
 * Where another launch is pointless, STARTING and RUNNING are followed by DOWN instead of WAITING. `start`, `stop` and
 * `restart` run one at a time, in the order in which they were called; a launch after a wait takes its turn among them.
 */
import { EventEmitter } from 'eventemitter3';
import { RestartBackOff } from '../kernel/back-off.js';
import { drainThenClose } from '../kernel/drain.js';
import type { WhyResult } from '../kernel/result.js';
import { SerialQueue } from '../kernel/serial-queue.js';

export type SupervisorState = 'DOWN' | 'STARTING' | 'RUNNING' | 'WAITING' | 'STOPPING';

/** What a supervisor launched. */
export interface Running {
  /** Of its first process, as this process counts. */
  readonly pid: number;
  /** Resolves when nothing of it is left, with how it ended, for people: `exit code 1`. Never rejects. */
  readonly exited: Promise<string>;
  /** Asks it to end. */
  ask(): void;
  /** Ends it without asking. */
  kill(): void;
}

/** Asks it to end, and ends it without asking after `graceMs`; `onLate` is called then. Resolves when it has ended. */
export function endWithin(running: Running, graceMs: number, onLate: () => void): Promise<void> {
  const leave = () => {
    running.ask();
    return running.exited;
  };
  return drainThenClose(graceMs, leave, () => {
    onLate();
    running.kill();
  });
}

/** `why`: what the sentence "it did not start: ..." ends with. Nothing of it is left then. */
export type Launched = WhyResult<Running>;

export interface SupervisorOptions {
  /** Never rejects. */
  readonly launch: () => Promise<Launched> | Launched;
  /** How long it may take to end when it is asked to, in milliseconds. */
  readonly graceMs: number;
  /** The longest wait before another launch, in milliseconds. */
  readonly maxWaitMs: number;
  /** Called when it ended by itself or could not be launched: whether another launch may help. Absent: it may. */
  readonly mayRecover?: () => boolean;
  /** What is said when it ended, for people. Absent: `ended (exit code 1)`. */
  readonly tellEnd?: (how: string) => string;
}

export interface SupervisorEvents {
  /** `pid` is another one. */
  pid: () => void;
  /** One sentence for people, without its subject. */
  news: (text: string) => void;
}

export class Supervisor extends EventEmitter<SupervisorEvents> {
  readonly #options: SupervisorOptions;
  readonly #backOff: RestartBackOff;
  readonly #changes = new SerialQueue();
  #state: SupervisorState = 'DOWN';
  #running: Running | null = null;
  #wait: NodeJS.Timeout | undefined;
  /** How many calls of `stop` wait for their turn. */
  #stops = 0;
  #closed = false;

  constructor(options: SupervisorOptions) {
    super();
    this.#options = options;
    this.#backOff = new RestartBackOff(options.maxWaitMs);
  }

  /** STOPPING also while a launch is under way that is stopped as soon as it has ended. */
  get state(): SupervisorState {
    return this.#stops > 0 && this.#state !== 'DOWN' ? 'STOPPING' : this.#state;
  }

  /** It is to run: it does, or will again. */
  get isUp(): boolean {
    return this.state !== 'DOWN' && this.state !== 'STOPPING';
  }

  /** Of its first process; 0: it does not run. */
  get pid(): number {
    return this.#running?.pid ?? 0;
  }

  /** Resolves when it runs, or could not be launched for the first time. Does nothing where it runs, or was closed. */
  start(): Promise<void> {
    return this.#changes.run(() => this.#start());
  }

  /** Resolves when nothing of it is left. */
  stop(): Promise<void> {
    this.#stops++;
    return this.#changes.run(() => {
      this.#stops--;
      return this.#stop();
    });
  }

  restart(): Promise<void> {
    return this.#changes.run(async () => {
      await this.#stop();
      await this.#start();
    });
  }

  /** Stops it for good: it is not launched again, not by a restart that is under way either. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.stop();
  }

  async #start(): Promise<void> {
    this.#backOff.reset();
    if (this.#closed || this.#running) return;
    await this.#launch();
  }

  async #stop(): Promise<void> {
    clearTimeout(this.#wait);
    if (this.#state === 'DOWN') return;
    this.#state = 'STOPPING';
    const running = this.#running;
    if (running) {
      await endWithin(running, this.#options.graceMs, () => undefined);
    }
    this.#state = 'DOWN';
    this.emit('news', 'is stopped.');
  }

  async #launch(): Promise<void> {
    clearTimeout(this.#wait);
    this.#state = 'STARTING';
    const launched = await this.#options.launch();
    if (!launched.ok) {
      this.#recover(`did not start: ${launched.why}`, 0); // it did not run, however long that took
      return;
    }
    const running = launched.value;
    const began = performance.now();
    this.#running = running;
    this.#state = 'RUNNING';
    // Before anybody else waits for its end: `#running` is up to date for all of them.
    void running.exited.then((how) => {
      this.#running = null;
      this.emit('pid');
      if (this.#state !== 'RUNNING') return;
      const lastedMs = performance.now() - began;
      this.#recover(this.#options.tellEnd?.(how) ?? `ended (${how})`, lastedMs);
    });
    this.emit('news', `is running, pid ${running.pid}.`);
    this.emit('pid');
  }

  #recover(what: string, lastedMs: number): void {
    if (this.#stops > 0 || this.#options.mayRecover?.() === false) {
      this.#state = 'DOWN';
      this.emit('news', `${what}; it is not started again.`);
      return;
    }
    this.#state = 'WAITING';
    const ms = this.#backOff.next(lastedMs);
    this.#wait = setTimeout(() => void this.#changes.run(() => this.#launchAfterWait()), ms);
    const when = ms === 0 ? 'at once' : `in ${ms / 1000} s`;
    this.emit('news', `${what}; it is started again ${when}.`);
  }

  async #launchAfterWait(): Promise<void> {
    if (this.#state === 'WAITING' && !this.#closed) await this.#launch();
  }
}
