/**
 * Keeps one container running. Its states have the names that Pantavisor gives them: INSTALLED is a container that is
 * down and was never started, RECOVERING one that waits to be started again.
 */
import type { ContainerSettings } from './container-settings.js';
import type { Engine, EngineContainer } from './engines/engine.js';
import type { LogFile } from './log-file.js';
import { Supervisor, type SupervisorState } from './supervisor.js';

const STATUS = {
  DOWN: 'STOPPED',
  STARTING: 'STARTING',
  RUNNING: 'STARTED',
  WAITING: 'RECOVERING',
  STOPPING: 'STOPPING',
} as const satisfies Record<SupervisorState, string>;

export type ContainerStatus = 'INSTALLED' | (typeof STATUS)[SupervisorState];

const GRACE_MS = 2_000;
const MAX_WAIT_MS = 30_000;

export class ContainerSupervisor extends Supervisor {
  readonly settings: ContainerSettings;
  readonly #log: LogFile;
  #wasStarted = false;

  /** `log`: what the container writes. */
  constructor(container: EngineContainer, engine: Engine, log: LogFile) {
    super({
      launch: () => engine.start(container, (output) => void log.copy(output)),
      graceMs: GRACE_MS,
      maxWaitMs: MAX_WAIT_MS,
    });
    this.settings = container.settings;
    this.#log = log;
  }

  get status(): ContainerStatus {
    return this.isDown && !this.#wasStarted ? 'INSTALLED' : STATUS[this.state];
  }

  get isDown(): boolean {
    return this.state === 'DOWN';
  }

  override start(): Promise<void> {
    this.#wasStarted = true;
    return super.start();
  }

  override async close(): Promise<void> {
    await super.close();
    await this.#log.close();
  }
}
