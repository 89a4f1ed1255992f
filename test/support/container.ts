/**
 * A container without a container engine: own mount, pid, uts and ipc namespaces (network and users on
 * request), a fresh root, /run and /tmp, and the host's programs read-only. Needs root and a C compiler.
 *
 * Everything in it dies with `kill` and with the test process, and nothing stays mounted.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { compile } from './compile.js';
import { endOf } from './processes.js';

export interface ContainerOptions {
  readonly name: string;
  /** Its own network, with loopback up. */
  readonly net?: boolean;
  /** Its own users: root there is 100000 on the host, 65,536 of them. */
  readonly userns?: boolean;
  /** Nothing in it can be written, /run and /tmp neither (on the host, below `rootDir`, it can). */
  readonly readOnly?: boolean;
  /** Of its init, as the host counts: one that nobody has. */
  readonly pid?: number;
}

export interface ExecResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  readonly input?: string | Buffer;
  /** Milliseconds; then it is killed and `code` is null. */
  readonly timeout?: number;
}

const SOURCES = ['container.h', 'container.c', 'enter.c'].map((name) =>
  fileURLToPath(new URL(`container/${name}`, import.meta.url)),
);
let program = '';

let python: string | undefined;

/** The interpreter itself: what PATH has may be a wrapper that looks for it. */
function pythonPrefix(): string {
  const code = 'import sys; print(sys.base_prefix)';
  python ??= execFileSync('python3', ['-c', code], { encoding: 'utf8' }).trim();
  return python;
}

function hostPaths(): string[] {
  const wanted = ['/usr', '/bin', '/sbin', '/lib', '/lib64', pythonPrefix(), nodeFolder()];
  return wanted.filter(
    (path, i) =>
      existsSync(path) && !wanted.slice(0, i).some((parent) => `${path}/`.startsWith(`${parent}/`)),
  );
}

const nodeFolder = () => dirname(process.execPath);

export class TestContainer {
  readonly name: string;
  /** Its root as a folder of the host, with /run and /tmp (not /proc): for looking and for preparing. */
  rootDir = '';
  /** Of its init, as the host counts. */
  pid = 0;
  readonly #flags: string;
  #guard: ChildProcess | null = null;

  /** Use `startContainer`. */
  constructor({ name, net, userns, readOnly, pid }: ContainerOptions) {
    this.name = name;
    const flags = `${net ? 'n' : ''}${userns ? 'u' : ''}${readOnly ? 'r' : ''}` || '-';
    this.#flags = pid === undefined ? flags : `${flags}=${pid}`;
  }

  /** Starts it, in its own root when this resolves. */
  async start(): Promise<void> {
    program = compile('container', SOURCES);
    this.rootDir = mkdtempSync(join(tmpdir(), `container-${this.name}-`));
    const argv = ['create', this.rootDir, this.name, this.#flags, ...hostPaths()];
    const guard = spawn(program, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#guard = guard;
    this.pid = await new Promise<number>((resolve, reject) => {
      guard.once('exit', () => reject(new Error(`container ${this.name} did not start`)));
      createInterface(guard.stdout).once('line', (line) => resolve(Number(line)));
    });
  }

  /** Starts a program in it, as its root. Killed, it is gone; its own children go with the container. */
  run(argv: readonly string[]): ChildProcess {
    const PATH = [join(pythonPrefix(), 'bin'), nodeFolder(), '/usr/sbin:/usr/bin:/sbin:/bin'].join(
      ':',
    );
    return spawn(program, ['enter', String(this.pid), ...argv], {
      env: { PATH, HOME: '/root', LANG: 'C.UTF-8' },
      stdio: 'pipe',
    });
  }

  /** Runs a program in it to its end. `code` is null where a signal ended it. */
  async exec(
    argv: readonly string[],
    { input, timeout = 10_000 }: ExecOptions = {},
  ): Promise<ExecResult> {
    const child = this.run(argv);
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
      });
    }
    child.stdin?.on('error', () => undefined).end(input);
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
    const [code] = (await once(child, 'close')) as [number | null];
    clearTimeout(timer);
    return { code, ...output };
  }

  /** Ends every process in it, and unmounts everything. */
  async kill(): Promise<void> {
    const guard = this.#guard;
    this.#guard = null;
    if (!guard) return;
    guard.stdin?.end();
    await endOf(guard);
    rmdirSync(this.rootDir);
  }

  /** Again under the same name: a new pid, a fresh root. */
  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }
}

export async function startContainer(options: ContainerOptions): Promise<TestContainer> {
  const container = new TestContainer(options);
  await container.start();
  return container;
}
