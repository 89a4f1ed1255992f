/**
 * What runs a container. The rest of the runtime knows no more of an engine than this; which engine there is, main.ts
 * chooses, where the runtime is composed.
 */
import type { Readable } from 'node:stream';
import type { ContainerSettings } from './container-settings.js';
import type { Pools } from './pools.js';
import type { Launched } from './supervisor.js';

export interface Engine {
  /**
   * Starts it. Resolves once it is in its own root, or could not be started. `onOutput` is called once, before that,
   * with what the container writes. Never rejects.
   */
  start(settings: ContainerSettings, onOutput: (output: Readable) => void): Promise<Launched>;
}

/** What an engine is told of the revision that it runs. */
export interface EngineParts {
  /** The folder of the host that is /app of that container, an absolute path. */
  readonly appFolder: (container: string) => string | undefined;
  readonly pools: Pools;
  /** A folder of the host that no container has. */
  readonly hidden: string;
}

export type MakeEngine = (parts: EngineParts) => Engine;
