/** Versions of the package, each in a folder of its own, and a symlink to the one that is installed. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/relay/native.js';

const PROGRAMS = ['pv-xconnect', 'pvx-broker', 'pvx-relay', 'pvx-bus', 'pvx-enter', 'pvx.node'];

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Builds {
  readonly #folder = mkdtempSync(join(tmpdir(), 'pvx-builds-'));

  constructor() {
    chmodSync(this.#folder, 0o755);
  }

  /** Of the version that is installed. */
  get program(): string {
    return join(this.#folder, 'current/bin/pv-xconnect');
  }

  /** One more version, a copy of what is tested; `spoil` is given its folder. */
  add(version: string, spoil?: (folder: string) => void): void {
    const folder = join(this.#folder, version);
    mkdirSync(join(folder, 'build/Release'), { recursive: true });
    for (const name of ['dist', 'bin']) {
      cpSync(join(PACKAGE_ROOT, name), join(folder, name), { recursive: true });
    }
    for (const name of PROGRAMS) {
      const path = join('build/Release', name);
      cpSync(join(PACKAGE_ROOT, path), join(folder, path));
    }
    symlinkSync(join(PACKAGE_ROOT, 'node_modules'), join(folder, 'node_modules'));
    const described = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8'));
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...described, version }));
    spoil?.(folder);
  }

  /** From now on this version is the installed one. */
  install(version: string): void {
    const link = join(this.#folder, 'current');
    symlinkSync(version, `${link}.new`);
    renameSync(`${link}.new`, link);
  }

  /** `pv-xconnect upgrade` to that version, to its end. */
  upgrade(version: string, control: string): Promise<Outcome> {
    this.install(version);
    const child = spawn(this.program, ['upgrade', '--control', control]);
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (chunk: Buffer) => {
        said[name] += chunk.toString();
      });
    }
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, ...said }));
    });
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
