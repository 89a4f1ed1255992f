/** A root file system with one program in it, as LXC and Docker run it. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import type { ExecResult } from '../container.js';

const SOURCE = join(PACKAGE_ROOT, 'test/support/engines/peer.c');
/** Where containers have a place of their own to write, or a file system of the kernel's. */
const FOLDERS = ['run/example', 'tmp', 'proc', 'sys', 'dev', 'etc'];

/** A container of a real engine. */
export interface EngineContainer {
  readonly name: string;
  /** Of its first process, as the host counts. */
  readonly pid: number;
  /** Runs the program in it, with these arguments, to its end. */
  peer(...args: string[]): Promise<ExecResult>;
  restart(): Promise<void>;
  kill(): Promise<void>;
}

export class Image {
  readonly folder = mkdtempSync(join(tmpdir(), 'pvx-image-'));

  constructor() {
    for (const folder of FOLDERS) mkdirSync(join(this.folder, folder), { recursive: true });
    execFileSync('cc', [
      '-static',
      '-O1',
      '-D_GNU_SOURCE',
      SOURCE,
      '-o',
      join(this.folder, 'peer'),
    ]);
    chmodSync(this.folder, 0o755);
  }

  /** A copy of it, owned by this uid and gid. */
  copyTo(folder: string, owner: number): void {
    execFileSync('cp', ['-a', this.folder, folder]);
    execFileSync('chown', ['-R', `${owner}:${owner}`, folder]);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
