/** The descriptors that a live process has open, as proc(5) tells. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { pause } from './wait.js';

export interface OpenFile {
  fd: number;
  /** What it leads to: a path, or `socket:[INODE]` and the like. */
  target: string;
  /** Whether a program that the process executes goes without it: O_CLOEXEC, open(2). */
  closesOnExec: boolean;
}

const O_CLOEXEC = 0o2000000;
const LOOKS = 10;
const LOOK_MS = 20;

export const countOpenFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/**
 * How many it has open while it has nothing to do: the fewest that are seen for a while, for a descriptor that was
 * handed over may be closed a moment after it has arrived.
 */
export async function countOpenAtRest(pid: number): Promise<number> {
  let fewest = countOpenFiles(pid);
  for (let look = 0; look < LOOKS; look++) {
    await pause(LOOK_MS); // a descriptor may be open for a moment
    fewest = Math.min(fewest, countOpenFiles(pid));
  }
  return fewest;
}

/** One that the process closes while we look is left out; a process that is gone is an error. */
export function openFiles(pid: number): OpenFile[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
      const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8');
      const flags = Number.parseInt(/^flags:\s+(\d+)$/m.exec(info)?.[1] ?? '', 8);
      return [{ fd: Number(fd), target, closesOnExec: (flags & O_CLOEXEC) !== 0 }];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  });
}
