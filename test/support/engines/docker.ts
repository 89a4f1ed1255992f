/** A Docker engine of the test's own, with everything of it in one folder, and containers on it. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GenericContainer, type StartedTestContainer } from 'testcontainers';
import type { ExecResult } from '../container.js';
import { endBy, hasEnded } from '../processes.js';
import { eventually } from '../wait.js';
import type { EngineContainer, Image } from './image.js';

export const IMAGE = 'pvx-peer:test';
/** No command of a test takes nearly as long. */
const COMMAND_MS = 30_000;

export class DockerEngine {
  protected readonly folder = mkdtempSync(join(tmpdir(), 'pvx-docker-'));
  readonly #flags: readonly string[];
  readonly #prefix: readonly string[];
  #process: ChildProcess | null = null;

  /** `prefix`: a program that executes the engine in its own place. */
  constructor(flags: readonly string[] = [], prefix: readonly string[] = []) {
    this.#flags = flags;
    this.#prefix = prefix;
  }

  get socket(): string {
    return this.at('docker.sock');
  }

  get host(): string {
    return `unix://${this.socket}`;
  }

  async start(): Promise<void> {
    chmodSync(this.folder, 0o711); // users of containers' own have to get through
    const { argv, env } = this.command();
    const all = ['--pdeathsig', 'TERM', ...this.#prefix, ...argv, ...this.#flags];
    this.#process = spawn('setpriv', all, { stdio: 'ignore', env: { ...process.env, ...env } });
    await eventually(() => this.docker('version'), { timeoutMs: 30_000, intervalMs: 200 });
    process.env.DOCKER_HOST = this.host;
    process.env.TESTCONTAINERS_RYUK_DISABLED = 'true';
    process.env.TESTCONTAINERS_HOST_OVERRIDE = '127.0.0.1'; // there is no bridge to look for it on
  }

  protected at(name: string): string {
    return join(this.folder, name);
  }

  protected command(): { readonly argv: readonly string[]; readonly env?: NodeJS.ProcessEnv } {
    const flags = {
      '--data-root': this.at('data'),
      '--exec-root': this.at('exec'),
      '--pidfile': this.at('pid'),
      '--host': this.host,
      '--bridge': 'none',
    };
    return {
      argv: ['dockerd', ...Object.entries(flags).flat(), '--iptables=false', '--ip6tables=false'],
    };
  }

  /** The docker command on this engine; its output. Throws where it fails. */
  docker(...args: string[]): string {
    return execFileSync('docker', ['--host', this.host, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: COMMAND_MS,
    }).trim();
  }

  /** `change`: more flags. */
  import(image: Pick<Image, 'folder'>, name = IMAGE, change = ''): void {
    const pipe = `tar -C '${image.folder}' -c . | docker --host '${this.host}' import ${change} - ${name}`;
    execFileSync('sh', ['-c', pipe], { stdio: ['ignore', 'ignore', 'pipe'] });
  }

  async run(name: string, args: readonly string[]): Promise<EngineContainer> {
    const container = new DockerContainer(name, args, this);
    await container.start();
    return container;
  }

  /** With `--live-restore`, its containers live on. */
  async end(): Promise<void> {
    if (this.#process && !hasEnded(this.#process)) await endBy(this.#process, 'SIGTERM');
  }

  async stop(): Promise<void> {
    await this.end();
    // An engine leaves its folder mounted where containers may live on, and the network of the host once one had it.
    const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
    const left = mounts.flatMap((mount) => mount.split(' ')[1] ?? []);
    for (const path of left.filter((one) => one.startsWith(`${this.folder}/`)).reverse()) {
      spawnSync('umount', ['--lazy', path]);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

class DockerContainer implements EngineContainer {
  readonly name: string;
  pid = 0;
  readonly #args: readonly string[];
  readonly #engine: DockerEngine;
  #started: StartedTestContainer | null = null;

  constructor(name: string, args: readonly string[], engine: DockerEngine) {
    this.name = name;
    this.#args = args;
    this.#engine = engine;
  }

  async start(): Promise<void> {
    const started = await new GenericContainer(IMAGE)
      .withEntrypoint(['/peer'])
      .withCommand([...this.#args])
      .withNetworkMode('none')
      .withTmpFs({ '/run/example': 'rw,mode=755' })
      .start();
    this.#started = started;
    this.pid = Number(this.#engine.docker('inspect', '-f', '{{.State.Pid}}', started.getId()));
  }

  async peer(...args: string[]): Promise<ExecResult> {
    const started = this.#started;
    if (!started) throw new Error(`${this.name} does not run`);
    const { exitCode, stdout, stderr } = await started.exec(['/peer', ...args]);
    return { code: exitCode, stdout, stderr };
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  async kill(): Promise<void> {
    await this.#started?.stop({ timeout: 0 });
    this.#started = null;
  }
}
