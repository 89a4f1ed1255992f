/**
 * The built-in engine: util-linux's `unshare` and a shell script make a container over the host's own programs.
 * No image is needed.
 *
 *   this process → unshare → first process of the container (init-script.ts) → program
 *
 * Each dies with the one before it, by its parent-death signal, so nothing outlives this process however that
 * ends; mounts and namespaces go with the last process in them. As root, or as root of a user namespace.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { formatIp, type Lease } from './address-plan.js';
import type { ContainerSettings } from './container-settings.js';
import { describe, type Engine, type Exit, type Running } from './engine.js';
import { INIT_SCRIPT } from './init-script.js';
import type { Pools } from './pools.js';

const LIFELINE = ['--pdeathsig', 'KILL'];
const NAMESPACES = ['--mount', '--pid', '--uts', '--ipc', '--fork', '--kill-child=KILL'];
/** The folder of this Node.js comes first: what an example starts as `node` is then known to be there. */
export const CONTAINER_PATH = [
  dirname(process.execPath),
  '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
].join(':');
const ENVIRONMENT = {
  PATH: CONTAINER_PATH,
  HOME: '/root',
  LANG: 'C.UTF-8',
  container: 'pv-appengine',
};
const START_MS = 30_000;
/** Ours, at /node_modules of each container, so that a demo can import what we came with; empty: we have none. */
const MODULES =
  [fileURLToPath(new URL('../../node_modules', import.meta.url))].find(existsSync) ?? '';

/** The script, what the container writes, what `unshare` complains of, the pid. */
type Pipes = readonly [Writable, Readable, Readable, Readable];

export class NamespaceEngine implements Engine {
  readonly #appFolder: (container: string) => string | undefined;
  readonly #pools: Pools;
  readonly #hidden: string;

  /** `appFolder`: what is to be /app of a container, an absolute path. `hidden`: a folder that none of them has. */
  constructor(appFolder: (container: string) => string | undefined, pools: Pools, hidden = '') {
    this.#appFolder = appFolder;
    this.#pools = pools;
    this.#hidden = hidden;
  }

  async start(
    settings: ContainerSettings,
    onOutput: (output: Readable) => void,
  ): Promise<Running | string> {
    const lease = await this.#pools.leaseOf(settings.name);
    if (typeof lease === 'string') return lease;
    let child: ChildProcess;
    try {
      child = this.#spawn(settings, lease);
    } catch (error) {
      return `its first process could not be made (${(error as Error).message})`;
    }
    if (!child.stdio) {
      child.once('error', () => undefined);
      return 'its first process could not be made (too many open files)';
    }
    const [script, output, errors, report] = child.stdio as unknown as Pipes;
    onOutput(output);
    script.on('error', () => undefined).end(INIT_SCRIPT);
    const complaint = firstLine(errors);
    const exited = exitOf(child);
    const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
    const pid = Number(await firstLine(report));
    clearTimeout(timer);
    if (pid > 0) return new RunningNamespaces(child, pid, exited);
    const why = (await complaint) || describe(await exited);
    return `its namespaces could not be set up (${why}); its console.log may say more`;
  }

  #spawn({ name, exec, ownNetwork, hostname }: ContainerSettings, lease?: Lease): ChildProcess {
    const namespaces = [...NAMESPACES, ...(ownNetwork ? ['--net'] : [])];
    const network = lease ? `own ${cableOf(lease)}` : ownNetwork ? 'own' : '';
    const app = this.#appFolder(name) ?? '';
    const init = [hostname, app, network, this.#hidden, MODULES, ...exec];
    return spawn('setpriv', [...LIFELINE, 'unshare', ...namespaces, 'sh', '-s', '--', ...init], {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      env: ENVIRONMENT,
      // A session of its own: Ctrl-C in a terminal is for this process, which stops containers in order.
      detached: true,
    });
  }
}

/** As the script takes it. An interface of the host is named after the address at the cable's other end. */
function cableOf({ pool, ip, mac }: Lease): string {
  const port = `pv${mac.slice(6).replaceAll(':', '')}`;
  const words = [`${ip}/${pool.bits}`, formatIp(pool.gateway), mac, port, pool.bridge, process.pid];
  return words.join(' ');
}

class RunningNamespaces implements Running {
  readonly #unshare: ChildProcess;

  constructor(
    unshare: ChildProcess,
    readonly pid: number,
    readonly exited: Promise<Exit>,
  ) {
    this.#unshare = unshare;
  }

  async stop(graceMs: number): Promise<Exit> {
    // The number is the container's for as long as its parent, `unshare`, has not ended.
    if (this.#isThere()) signal(this.pid, 'SIGTERM');
    const timer = setTimeout(() => this.#unshare.kill('SIGKILL'), graceMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  #isThere(): boolean {
    return this.#unshare.exitCode === null && this.#unshare.signalCode === null;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile, which is what was wanted.
  }
}

/** The output has ended too, so nothing of the container is left. */
async function exitOf(child: ChildProcess): Promise<Exit> {
  try {
    const [code, name] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    return { code, signal: name };
  } catch {
    return { code: 127, signal: null }; // setpriv is not installed
  }
}

/** What it says up to its first newline, or up to its end; at most one chunk more than that is held. */
async function firstLine(stream: Readable): Promise<string> {
  let text = '';
  try {
    for await (const chunk of stream) {
      text += String(chunk);
      if (text.includes('\n')) break;
    }
  } catch {
    // Closed under our hands: what was said so far counts.
  }
  return text.split('\n', 1)[0] as string;
}
