/**
 * The built-in engine: util-linux's `unshare` and a shell script make a container over the host's own programs.
 * No image is needed.
 *
 *   this process → unshare → first process of the container (init.sh) → program
 *
 * Each dies with the one before it, by its parent-death signal, so nothing outlives this process, however it ends;
 * mounts and namespaces go with the last process in them. This process is root, or root of a user namespace.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { ok, type WhyResult } from '../../../kernel/result.js';
import { PACKAGE_ROOT } from '../../../relay/native.js';
import { defaultRouteOf, type Lease, portOf } from '../../address-plan.js';
import { type Child, exitOf, isInstalled, signalTo, spawnChild } from '../../child-process.js';
import type { Launched } from '../../supervisor.js';
import type { ContainerFiles, Engine, EngineContainer, EngineParts } from '../engine.js';

/** Whoever is made dies with its parent. */
const WITH_PARENT = ['--pdeathsig', 'KILL'];
const NAMESPACES = ['--mount', '--pid', '--uts', '--ipc', '--fork', '--kill-child=KILL'];
/** The folder of this Node.js comes first: what an example starts as `node` is then known to be there. */
const CONTAINER_PATH = [
  dirname(process.execPath),
  '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
].join(':');
const ENVIRONMENT = {
  PATH: CONTAINER_PATH,
  HOME: '/root',
  LANG: 'C.UTF-8',
  container: 'pv-appengine',
};
const TOOLS = ['setpriv', 'unshare', 'mount', 'pivot_root'];
/** How long it may take until a container is in its own root. */
const START_MS = 30_000;
/** The modules that this package came with: /node_modules of each container, so that a demo can import them. */
const MODULES = [`${PACKAGE_ROOT}/node_modules`].find(existsSync) ?? '';
const INIT_SCRIPT = readFileSync(`${PACKAGE_ROOT}/src/runtime/engines/namespace/init.sh`, 'utf8');

/** The script, what the container writes, what `unshare` complains of, the pid. */
type Pipes = readonly [Writable, Readable, Readable, Readable];

/** What this engine can't do without here, in one sentence; null where all is there. */
export function missingTools(): string | null {
  const missing = TOOLS.filter((tool) => !isInstalled(tool, CONTAINER_PATH));
  return missing.length > 0 ? `${missing.join(', ')} not found: install util-linux.` : null;
}

export class NamespaceEngine implements Engine {
  readonly #parts: EngineParts;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  /** Its root is made by its first process, and goes with it: there is nothing to do ahead. */
  async mount(): Promise<WhyResult<undefined>> {
    return ok(undefined);
  }

  async unmount(): Promise<void> {}

  async start(container: EngineContainer, onOutput: (output: Readable) => void): Promise<Launched> {
    const fault = await this.#parts.pools.provide(container.leases);
    if (fault !== null) return { ok: false, why: fault };
    const spawned = await this.#spawn(container);
    if (!spawned.ok) {
      return { ok: false, why: `its first process could not be made (${spawned.why})` };
    }
    const unshare = spawned.value;
    const exited = exitOf(unshare, 'close'); // nothing of the container is left once its output has ended too
    const [script, output, errors, report] = unshare.stdio as unknown as Pipes;
    onOutput(output);
    script.on('error', () => undefined).end(INIT_SCRIPT);
    const complaint = firstLine(errors);
    const timer = setTimeout(() => unshare.kill('SIGKILL'), START_MS);
    const pid = Number(await firstLine(report));
    clearTimeout(timer);
    if (pid > 0) {
      return ok({
        pid,
        exited,
        ask: () => signalTo(unshare, pid, 'SIGTERM'),
        kill: () => unshare.kill('SIGKILL'),
      });
    }
    const how = await exited;
    const why = (await complaint) || how;
    return {
      ok: false,
      why: `its namespaces could not be set up (${why}); its console.log may say more`,
    };
  }

  /** What init.sh takes before the program. Bound first: what is bound may be in a folder that is covered. */
  #folders({ pantavisor, inPantavisor = {} }: ContainerFiles): string[] {
    const bound = pantavisor === undefined ? [] : ['--bind', pantavisor, '/pantavisor'];
    for (const [name, folder] of Object.entries(inPantavisor)) {
      bound.push('--bind', folder, `/pantavisor/${name}`);
    }
    return [...bound, ...this.#parts.hidden.flatMap((folder) => ['--cover', folder]), '--'];
  }

  #spawn({ settings, leases, files }: EngineContainer): Promise<WhyResult<Child>> {
    const { exec, ownNetwork, hostname } = settings;
    const namespaces = [...NAMESPACES, ...(ownNetwork ? ['--net'] : [])];
    const veths = leases.map((lease) => vethOf(lease, leases));
    const network = ownNetwork ? ['own', ...veths].join(' ') : '';
    const init = [hostname, files.app ?? '', network, MODULES, ...this.#folders(files), ...exec];
    const argv = [...WITH_PARENT, 'unshare', ...namespaces, 'sh', '-s', '--', ...init];
    return spawnChild('setpriv', argv, {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      env: ENVIRONMENT,
      // A session of its own: Ctrl-C in a terminal is for this process, which stops containers in order.
      detached: true,
    });
  }
}

/** What init.sh takes after "own", for each interface. */
function vethOf(lease: Lease, all: readonly Lease[]): string {
  const { pool, name, ip, mac } = lease;
  const { bits, bridge } = pool;
  const route = defaultRouteOf(lease, all) ?? '-';
  return [name, `${ip}/${bits}`, route, mac, portOf(lease), bridge, process.pid].join(' ');
}

/** What the stream says up to its first newline, or up to its end; at most one chunk more than that is held. */
async function firstLine(stream: Readable): Promise<string> {
  let text = '';
  try {
    for await (const chunk of stream) {
      text += String(chunk);
      if (text.includes('\n')) break;
    }
  } catch {
    // It was closed meanwhile: what was said so far counts.
  }
  return text.split('\n', 1)[0] as string;
}
