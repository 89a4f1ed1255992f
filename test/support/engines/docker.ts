/** A Docker engine of the test's own, with everything of it in one folder, and containers on it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GenericContainer, type StartedTestContainer } from 'testcontainers';
import type { ExecResult } from '../container.js';
import { endOf, hasEnded } from '../processes.js';
import { eventually } from '../wait.js';
import type { EngineContainer, Image } from './image.js';

const IMAGE = 'pvx-peer:test';

export class DockerEngine {
  readonly #folder = mkdtempSync(join(tmpdir(), 'pvx-docker-'));
  #process: ChildProcess | null = null;

  get host(): string {
    return `unix://${this.#folder}/docker.sock`;
  }

  async start(): Promise<void> {
    const at = (name: string) => join(this.#folder, name);
    const flags = {
      '--data-root': at('data'),
      '--exec-root': at('exec'),
      '--pidfile': at('pid'),
      '--host': this.host,
      '--bridge': 'none',
    };
    const argv = [...Object.entries(flags).flat(), '--iptables=false', '--ip6tables=false'];
    this.#process = spawn('setpriv', ['--pdeathsig', 'TERM', 'dockerd', ...argv], {
      stdio: 'ignore',
    });
    await eventually(() => this.docker('version'), { timeoutMs: 30_000, intervalMs: 200 });
    process.env.DOCKER_HOST = this.host;
    process.env.TESTCONTAINERS_RYUK_DISABLED = 'true';
    process.env.TESTCONTAINERS_HOST_OVERRIDE = '127.0.0.1'; // there is no bridge to look for it on
  }

  /** The docker command on this engine; its output. Throws where it fails. */
  docker(...args: string[]): string {
    return execFileSync('docker', ['--host', this.host, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim();
  }

  import(image: Image): void {
    const pipe = `tar -C '${image.folder}' -c . | docker --host '${this.host}' import - ${IMAGE}`;
    execFileSync('sh', ['-c', pipe], { stdio: ['ignore', 'ignore', 'pipe'] });
  }

  async run(name: string, args: readonly string[]): Promise<EngineContainer> {
    const container = new DockerContainer(name, args, this);
    await container.start();
    return container;
  }

  async stop(): Promise<void> {
    const engine = this.#process;
    if (engine && !hasEnded(engine)) {
      process.kill(Number(readFileSync(join(this.#folder, 'pid'), 'utf8')), 'SIGTERM');
      await endOf(engine);
    }
    rmSync(this.#folder, { recursive: true, force: true });
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
