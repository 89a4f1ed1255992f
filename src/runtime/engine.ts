/**
 * What runs a container. The rest of the runtime sees this and no namespace, so that an engine can be added
 * without touching it.
 */
import type { Readable } from 'node:stream';
import type { ContainerSettings } from './container-settings.js';

export interface Engine {
  /**
   * Starts it. Resolves once it is in its own root, or with one sentence on why it did not get there; then
   * nothing of it is left. `onOutput` is called once, at once, with what it writes.
   */
  start(
    settings: ContainerSettings,
    onOutput: (output: Readable) => void,
  ): Promise<Running | string>;
}

export interface Exit {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Running {
  /** Of its first process, as this process counts. */
  readonly pid: number;
  /** Resolves when every process in it is gone; never rejects. */
  readonly exited: Promise<Exit>;
  /** Asks it to end; after `graceMs` it is ended. Resolves with `exited`. */
  stop(graceMs: number): Promise<Exit>;
}

/** For people. */
export function describe({ code, signal }: Exit): string {
  return signal ? `signal ${signal}` : `exit code ${code}`;
}
