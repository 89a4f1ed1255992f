/**
 * What runs a container: the contract between the runtime and its engines. An engine is one folder beside this file,
 * chosen by the `type` of a container's `run.json`; main.ts names those that there are. The runtime knows no more of an
 * engine than this, and an engine knows nothing of revisions: it is given one container at a time, with everything
 * about it decided.
 */
import type { Readable } from 'node:stream';
import type { WhyResult } from '../../kernel/result.js';
import type { Lease } from '../address-plan.js';
import type { ContainerSettings } from '../container-settings.js';
import type { Pools } from '../pools.js';
import type { Launched } from '../supervisor.js';

export interface Engine {
  /**
   * Lays out its root and its volumes, and starts nothing. Does nothing where that was done. `why`: what the sentence
   * "it is not mounted: ..." ends with. Never rejects.
   */
  mount(container: EngineContainer): Promise<WhyResult<undefined>>;
  /**
   * Mounts it where that was not done, and starts it. Resolves once it is in its own root, or could not be started.
   * `onOutput` is called at most once, before that, with what the container writes. Never rejects.
   */
  start(container: EngineContainer, onOutput: (output: Readable) => void): Promise<Launched>;
  /** Takes away what `mount` made of a container that does not run. Never rejects. */
  unmount(container: EngineContainer): Promise<void>;
}

/** One container of one revision. */
export interface EngineContainer {
  readonly settings: ContainerSettings;
  /** Its addresses, one for each interface. */
  readonly leases: readonly Lease[];
  readonly files: ContainerFiles;
}

/** What a container has of its revision, as files of the host: absolute paths, without symbolic links in them. */
export interface ContainerFiles {
  /** Files of its folder in the revision (`root.squashfs`), by their names. */
  readonly objects?: Readonly<Record<string, string>> | undefined;
  /** What is laid over its root (`_config`), by path within the root: a file of the host, or the text itself. */
  readonly config?: Readonly<Record<string, { readonly path: string } | { readonly text: string }>>;
  /** The name of the revision, for what is kept as long as that. */
  readonly revision?: string | undefined;
  /** The folder that is /app in a container of the namespace engine. */
  readonly app?: string | undefined;
  /** The folder that is /pantavisor in it, read-only: sockets in it can be connected to all the same. */
  readonly pantavisor?: string | undefined;
  /** Folders that are bound over folders of /pantavisor, read-only as well, by the names that they have in there. */
  readonly inPantavisor?: Readonly<Record<string, string>> | undefined;
}

/** What an engine is told of the machine that it runs on, once. */
export interface EngineParts {
  readonly pools: Pools;
  /** Folders of the host that no container has. */
  readonly hidden: readonly string[];
}

export type MakeEngine = (parts: EngineParts) => Engine;
