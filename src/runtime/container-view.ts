/**
 * What a container sees of the runtime, at /pantavisor:
 *
 *     pv-ctrl         the control socket, whose listener says which container asks
 *     pv-ctrl-log     a socket for lines that go to the container's log
 *     logs/           its own logs; for a manager all there are
 *     user-meta/, device-meta/
 *
 * The sockets are there while the container may run: they are made before its start, and removed when it is stopped.
 * They are all that a container can reach of the runtime, so nobody can be another container by what is said.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import net, { type Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { WhyResult } from '../kernel/result.js';
import { CONTAINER_UMASK, ControlSocket, listenAs } from './control-socket.js';
import type { ContainerFiles, Engine, EngineContainer } from './engines/engine.js';
import { LogFile } from './log-file.js';
import type { Router } from './router.js';
import type { Launched } from './supervisor.js';

const MANAGER = 'mgmt';
const MAX_LOG_CONNECTIONS = 16;

export interface ViewParts {
  /** Where the views are, one folder each; nobody else may have anything in it. */
  readonly folder: string;
  readonly userMeta: string;
  readonly deviceMeta: string;
  /** Of all revisions. */
  readonly logs: string;
}

export class ContainerViews {
  readonly #parts: ViewParts;

  /** Removes what a process that was killed has left. Throws where the folder can't be made. */
  constructor(parts: ViewParts) {
    this.#parts = parts;
    rmSync(parts.folder, { recursive: true, force: true });
    mkdirSync(parts.folder, { recursive: true, mode: 0o700 });
  }

  /** What its engine binds. `logs`: the folder of its own. */
  filesOf(container: string, isManager: boolean, logs: string): ContainerFiles {
    const { deviceMeta, userMeta } = this.#parts;
    return {
      pantavisor: this.folderOf(container),
      inPantavisor: {
        logs: isManager ? this.#parts.logs : logs,
        'user-meta': userMeta,
        'device-meta': deviceMeta,
      },
    };
  }

  folderOf(container: string): string {
    return join(this.#parts.folder, container);
  }

  close(): void {
    rmSync(this.#parts.folder, { recursive: true, force: true });
  }
}

export function isManager(roles: readonly string[]): boolean {
  return roles.includes(MANAGER);
}

/** An engine whose containers have their view when they start. */
export class ViewEngine implements Engine {
  readonly #engine: Engine;
  readonly #folder: string;
  readonly #router: () => Router;
  readonly #log: LogFile;
  #control: ControlSocket | null = null;
  #lines: net.Server | null = null;

  /** Of one container. `folder`: its view; `log`: the file for its lines. */
  constructor(engine: Engine, folder: string, router: () => Router, log: string) {
    this.#engine = engine;
    this.#folder = folder;
    this.#router = router;
    this.#log = new LogFile(log);
  }

  async mount(container: EngineContainer): Promise<WhyResult<undefined>> {
    const fault = await this.#open(container);
    return fault === null ? this.#engine.mount(container) : { ok: false, why: fault };
  }

  async start(container: EngineContainer, onOutput: (output: Readable) => void): Promise<Launched> {
    const fault = await this.#open(container);
    return fault === null ? this.#engine.start(container, onOutput) : { ok: false, why: fault };
  }

  async unmount(container: EngineContainer): Promise<void> {
    await this.#engine.unmount(container);
    await this.#control?.close();
    this.#control = null;
    this.#lines?.close();
    this.#lines = null;
    await this.#log.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Null, or why it can't have its view. */
  async #open({ settings, files }: EngineContainer): Promise<string | null> {
    if (this.#control) return null;
    try {
      for (const [name, folder] of Object.entries(files.inPantavisor ?? {})) {
        await mkdir(join(this.#folder, name), { recursive: true, mode: 0o755 });
        await mkdir(folder, { recursive: true, mode: 0o755 });
      }
      const caller = { container: settings.name, isManager: isManager(settings.roles) };
      const control = new ControlSocket(join(this.#folder, 'pv-ctrl'), this.#router(), caller);
      const fault = await control.listen();
      if (fault !== null) return fault.replace(/\.$/, '');
      try {
        this.#lines = await takeLines(join(this.#folder, 'pv-ctrl-log'), this.#log);
      } catch (error) {
        await control.close();
        throw error;
      }
      this.#control = control; // all of it is there
      return null;
    } catch (error) {
      return `its /pantavisor can't be made (${(error as Error).message})`;
    }
  }
}

/** Appends to the log what is written to that socket. */
async function takeLines(path: string, log: LogFile): Promise<net.Server> {
  const server = net.createServer((socket: Socket) => {
    socket.on('error', () => undefined);
    void log.copy(socket);
  });
  server.maxConnections = MAX_LOG_CONNECTIONS;
  await listenAs(server, path, CONTAINER_UMASK);
  return server;
}
