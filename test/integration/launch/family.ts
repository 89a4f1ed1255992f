/** pv-xconnect itself, with stand-ins for its children (child.sh), which do as they are told and keep a diary. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { openFiles } from '../../support/open-files.js';
import { endBy, endOf, statusOf } from '../../support/processes.js';
import { eventually } from '../../support/wait.js';

const CHILD = fileURLToPath(new URL('child.sh', import.meta.url));
const CHILDREN = ['node', 'pvx-broker', 'pvx-relay', 'pvx-bus'] as const;
export type ChildName = (typeof CHILDREN)[number];

export class Family {
  readonly folder = mkdtempSync(join(tmpdir(), 'pvx-family-'));
  readonly control = join(this.folder, 'control.sock');
  process!: ChildProcess;
  said = '';

  constructor() {
    chmodSync(this.folder, 0o777); // the children have users of their own
    this.install('one');
    writeFileSync(join(this.folder, 'diary'), '');
    chmodSync(join(this.folder, 'diary'), 0o666);
    for (const name of CHILDREN) this.plan(name, name === 'node' ? 'ready wait' : 'wait');
  }

  /**
   * A package of that name, which is the one that `now` leads to from here on. `script`: is there in place of the
   * program, which goes by the name `program` then.
   */
  install(version: string, script?: string, program = 'pv-xconnect'): void {
    this.#put(`${version}/build/Release/${program}`, `${PACKAGE_ROOT}/build/Release/pv-xconnect`);
    for (const name of CHILDREN) this.#put(`${version}/build/Release/${name}`, CHILD);
    const image = join(this.folder, version, 'build/Release/pv-xconnect');
    if (script !== undefined) {
      rmSync(image, { force: true });
      writeFileSync(image, script, { mode: 0o755 });
    }
    mkdirSync(join(this.folder, version, 'dist'));
    writeFileSync(join(this.folder, version, 'dist/main.js'), '');
    rmSync(join(this.folder, 'now'), { force: true });
    symlinkSync(version, join(this.folder, 'now'));
  }

  /** A line for each start, the last one for all that follow. */
  plan(name: ChildName, ...lines: string[]): void {
    writeFileSync(join(this.folder, `plan-${name}`), `${lines.join('\n')}\n`);
  }

  start(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): void {
    const program = join(this.folder, 'now/build/Release/pv-xconnect');
    this.process = spawn(program, ['--control', this.control, ...args], {
      stdio: ['ignore', 'inherit', 'pipe'],
      env: {
        ...process.env,
        PVX_TEST_FOLDER: this.folder,
        PV_XCONNECT_NODE: join(this.folder, 'now/build/Release/node'),
        ...env,
      },
    });
    this.process.stderr?.on('data', (chunk: Buffer) => {
      this.said += chunk.toString();
    });
  }

  get pid(): number {
    return this.process.pid as number;
  }

  /** What that one wrote into the diary, without its name. */
  diary(name: ChildName): string[] {
    const lines = readFileSync(join(this.folder, 'diary'), 'utf8').split('\n');
    return lines.flatMap((line) =>
      line.startsWith(`${name} `) ? [line.slice(name.length + 1)] : [],
    );
  }

  /** Pids, of every start so far. */
  starts(name: ChildName): number[] {
    const starts = this.diary(name).filter((line) => line.startsWith('start '));
    return starts.map((line) => Number(line.split(' ')[1]));
  }

  /** Waits for that many starts, and resolves with the pid of the last. */
  async started(name: ChildName, count = 1): Promise<number> {
    return eventually(
      () => {
        const pids = this.starts(name);
        if (pids.length < count) throw new Error(`${name} was started ${pids.length} times`);
        return pids[count - 1] as number;
      },
      { timeoutMs: 30_000 },
    );
  }

  /** NAME=VALUE, of its last start. */
  environment(name: ChildName): string[] {
    return readFileSync(`/proc/${this.starts(name).at(-1)}/environ`, 'utf8').split('\0');
  }

  /** Of the command line of a process. */
  words(pid: number): string[] {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  }

  /** The file that a process runs. */
  program(pid: number): string {
    return readlinkSync(`/proc/${pid}/exe`);
  }

  descriptors(pid: number) {
    return openFiles(pid);
  }

  /** Its exit code or signal. */
  ended(): Promise<number | NodeJS.Signals> {
    return endOf(this.process);
  }

  /** Pids of all children that were ever started and are still there. */
  left(): number[] {
    return CHILDREN.flatMap((name) => this.starts(name)).filter((pid) =>
      existsSync(`/proc/${pid}`),
    );
  }

  /** Those of them that run: what process 1 has not reaped yet does not. */
  running(): number[] {
    return this.left().filter((pid) => {
      try {
        return !statusOf(pid)('State')?.startsWith('Z');
      } catch {
        return false;
      }
    });
  }

  async remove(): Promise<void> {
    if (this.process) await endBy(this.process);
    await eventually(() => {
      if (this.running().length > 0) throw new Error('its children have not ended yet');
    });
    // An image that was only asked is no child that it knows of, and may still write there.
    await eventually(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  #put(to: string, from: string): void {
    const path = join(this.folder, to);
    mkdirSync(dirname(path), { recursive: true });
    copyFileSync(from, path);
    chmodSync(path, 0o755);
  }
}
