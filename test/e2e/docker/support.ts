/** A Docker engine with the real daemon beside it, as `--docker` has it, and containers with labels. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { type ShownLink, TestDaemon } from '../../support/daemon.js';
import { DockerEngine, IMAGE } from '../../support/engines/docker.js';
import { Image } from '../../support/engines/image.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

export const SOCKET = '/run/example/raw.sock';
export const TARGET = '/run/pv/services/raw.sock';
export const SERVE = ['serve', SOCKET];
export const WAIT = ['wait'];
export const PROVIDE = { 'pv.provide.raw': `unix:${SOCKET}` };
export const REQUIRE = { 'pv.require.raw': '' };

export type LabelTexts = Readonly<Record<string, string>>;

export const docker = () => isRoot() && has('dockerd') && has('docker') && has('cc');

export interface RunOptions {
  readonly labels?: LabelTexts;
  readonly network?: string;
  /** More of `docker run`. */
  readonly flags?: readonly string[];
  readonly image?: string;
}

/** `CONSUMER SERVICE PROVIDER STATE` of a link. */
export const line = ({ consumer, name, provider, state }: ShownLink) =>
  [consumer, name, provider, state].join(' ');

/** What Compose would have it called and labelled. */
export function composed(project: string, service: string, number = 1): [string, LabelTexts] {
  const labels = {
    'com.docker.compose.project': project,
    'com.docker.compose.service': service,
    'com.docker.compose.container-number': String(number),
  };
  return [`${project}-${service}-${number}`, labels];
}

export interface MeshOptions {
  /** Absent: Docker. */
  readonly engine?: DockerEngine;
  /** Of Docker. */
  readonly flags?: readonly string[];
  /** A program that executes the engine in its own place. */
  readonly prefix?: readonly string[];
  /** Of the daemon, beside `--docker`. */
  readonly daemonFlags?: readonly string[];
  /** The socket that the daemon is given, for that of the engine. */
  readonly via?: (engine: string) => string;
}

export class DockerMesh {
  engine!: DockerEngine;
  image!: Image;
  daemon!: TestDaemon;
  readonly #options: MeshOptions;

  constructor(options: MeshOptions = {}) {
    this.#options = options;
  }

  async startEngine(): Promise<void> {
    const { flags, prefix, engine = new DockerEngine(flags, prefix) } = this.#options;
    this.image = new Image();
    this.engine = engine;
    await this.engine.start();
    this.engine.import(this.image);
  }

  async start(): Promise<void> {
    await this.startEngine();
    const { daemonFlags = [], via = (socket) => socket } = this.#options;
    const storage = join(dirname(this.engine.socket), 'storage');
    const own = ['--docker', via(this.engine.socket), '--storage', storage];
    this.daemon = new TestDaemon([...own, ...daemonFlags]);
    await this.daemon.launch();
  }

  /** Starts a container whose program is `peer` with these arguments. */
  run(name: string, program: readonly string[], options: RunOptions = {}) {
    const { labels = {}, network, image, flags: more = [] } = options;
    const flags = Object.entries(labels).flatMap(([label, text]) => [
      '--label',
      `${label}=${text}`,
    ]);
    return this.engine.docker(
      ...['run', '--detach', '--name', name, '--network', network ?? 'none', ...flags, ...more],
      ...['--tmpfs', '/run/example:mode=755', image ?? IMAGE, '/peer', ...program],
    );
  }

  /** The same by the engine's own interface: a command line holds no label of 1 MiB. */
  async create(name: string, labels: LabelTexts): Promise<void> {
    const body = JSON.stringify({ Image: IMAGE, Cmd: ['/peer', 'wait'], Labels: labels });
    const asked = http.request({
      ...{
        socketPath: this.engine.socket,
        method: 'POST',
        path: `/containers/create?name=${name}`,
      },
      headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
    });
    asked.end(body);
    const [answer] = (await once(asked, 'response')) as [http.IncomingMessage];
    answer.resume();
    if (answer.statusCode !== 201) throw new Error(`${name} is not created: ${answer.statusCode}`);
  }

  /** Runs `peer` in a container, to its end; what it printed. */
  peer(name: string, ...args: string[]): string {
    return this.engine.docker('exec', name, '/peer', ...args);
  }

  /** `peer talk` in a container: it goes on. */
  talk(name: string, path = TARGET): Talk {
    return new Talk(this.engine.host, name, path);
  }

  pid(name: string): number {
    return Number(this.engine.docker('inspect', '--format', '{{.State.Pid}}', name));
  }

  /** Waits until the graph has these links and no others. */
  async until(...lines: string[]): Promise<readonly ShownLink[]> {
    return eventually(
      async () => {
        const shown = await this.daemon.shown();
        const [is, should] = [shown.map(line).sort(), [...lines].sort()];
        if (JSON.stringify(is) !== JSON.stringify(should)) {
          const errors = shown.map(({ last_error }) => last_error?.message ?? '');
          throw new Error(`the graph is ${is.join(', ')}. ${errors.join(' ')} ${this.daemon.log}`);
        }
        return shown;
      },
      { timeoutMs: 20_000 },
    );
  }

  /** What the log has to say of the labels. */
  untilLogged(text: string): Promise<void> {
    return eventually(() => {
      if (!this.daemon.log.includes(text)) throw new Error(`not in the log: ${text}`);
    });
  }

  /** Removes all containers. */
  clear(): void {
    const all = this.engine.docker('ps', '--all', '--quiet').split('\n').filter(Boolean);
    if (all.length > 0) this.engine.docker('rm', '--force', ...all);
  }

  async stop(): Promise<void> {
    await this.daemon?.stop();
    try {
      this.clear();
    } finally {
      await this.engine?.stop();
      this.image?.remove();
    }
  }
}

/** Call it within `describe`: all is there before the first test, and no container is left after each. */
export function useDocker(mesh: DockerMesh): DockerMesh {
  beforeAll(() => mesh.start(), 90_000);
  afterEach(async () => {
    mesh.clear();
    await mesh.until();
  }, 60_000);
  afterAll(() => mesh.stop(), 90_000);
  return mesh;
}

/** One connection that stays open. */
export class Talk {
  readonly #process: ChildProcess;
  #heard = '';

  constructor(host: string, container: string, path: string) {
    const argv = ['--host', host, 'exec', '--interactive', container, '/peer', 'talk', path];
    this.#process = spawn('docker', argv, { stdio: ['pipe', 'pipe', 'ignore'] });
    this.#process.stdout?.on('data', (chunk: Buffer) => {
      this.#heard += chunk;
    });
  }

  say(text: string): void {
    this.#process.stdin?.write(text);
  }

  async heard(text: string): Promise<void> {
    await eventually(() => {
      if (!this.#heard.includes(text)) throw new Error(`heard only ${this.#heard}`);
    });
  }

  end(): void {
    this.#process.stdin?.end();
  }
}

/** Before an engine: for it alone, the user and group nobody have subordinate ids. */
export const SUBORDINATE_IDS = [
  ...['unshare', '--mount', 'sh', '-c'],
  `
    mount --make-rprivate /
    mount -t tmpfs none /mnt
    printf 'nobody:300000:65536\\nnogroup:300000:65536\\n' > /mnt/ids
    for file in /etc/subuid /etc/subgid; do
      [ -e $file ] || touch $file
      mount --bind /mnt/ids $file
    done
    umount /mnt
    exec "$@"`,
  'sh',
];
