/** Containers of LXC, by liblxc's own commands: privileged, or with users of their own. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecResult } from '../container.js';
import type { EngineContainer, Image } from './image.js';

export interface LxcOptions {
  readonly name: string;
  /** What the program does. */
  readonly args: readonly string[];
  /** Host uid and gid of its root; 0: the host's own. */
  readonly root?: number;
}

function run(command: string, args: readonly string[]): Promise<ExecResult> {
  return new Promise((resolve) => {
    execFile(command, args, (error, stdout, stderr) => {
      const code = error ? Number(error.code) || null : 0;
      resolve({ code, stdout, stderr });
    });
  });
}

async function must(command: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(command, args);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  return stdout.trim();
}

class LxcContainer implements EngineContainer {
  readonly name: string;
  pid = 0;
  readonly #folder = mkdtempSync(join(tmpdir(), 'pvx-lxc-'));
  readonly #which: readonly string[];
  readonly #log: string;

  constructor({ name, args, root = 0 }: LxcOptions, image: Image) {
    this.name = name;
    this.#which = ['-P', this.#folder, '-n', name];
    this.#log = join(this.#folder, 'log');
    const home = join(this.#folder, name);
    mkdirSync(home, { mode: 0o755 });
    image.copyTo(join(home, 'rootfs'), root);
    const config = {
      'lxc.uts.name': name,
      'lxc.rootfs.path': `dir:${join(home, 'rootfs')}`,
      'lxc.init.cmd': `/peer ${args.join(' ')}`,
      'lxc.net.0.type': 'empty',
      'lxc.apparmor.profile': 'unconfined',
      'lxc.autodev': '1',
      'lxc.mount.auto': 'proc:mixed',
      'lxc.mount.entry': 'tmpfs run/example tmpfs rw,mode=755 0 0',
    };
    const users = root === 0 ? [] : ['u', 'g'].map((kind) => `lxc.idmap = ${kind} 0 ${root} 65536`);
    const lines = Object.entries(config).map(([key, value]) => `${key} = ${value}`);
    writeFileSync(join(home, 'config'), [...lines, ...users, ''].join('\n'));
    // Root of a user namespace must be able to search the way to its own root.
    for (const folder of [this.#folder, home]) void run('chmod', ['0755', folder]);
  }

  async start(): Promise<void> {
    await must('lxc-start', [...this.#which, '--logfile', this.#log, '--logpriority', 'INFO']);
    await must('lxc-wait', [...this.#which, '-s', 'RUNNING', '-t', '10']);
    this.pid = Number(await must('lxc-info', [...this.#which, '-p', '-H']));
  }

  peer(...args: string[]): Promise<ExecResult> {
    return run('lxc-attach', [...this.#which, '--', '/peer', ...args]);
  }

  async restart(): Promise<void> {
    await this.#stop();
    await this.start();
  }

  async kill(): Promise<void> {
    await this.#stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #stop(): Promise<void> {
    await run('lxc-stop', [...this.#which, '-k']);
    await run('lxc-wait', [...this.#which, '-s', 'STOPPED', '-t', '10']);
  }
}

export async function startLxc(options: LxcOptions, image: Image): Promise<EngineContainer> {
  const container = new LxcContainer(options, image);
  await container.start();
  return container;
}
