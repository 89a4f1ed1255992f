/** The descriptors that a live process has open, as proc(5) tells. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface OpenFile {
  fd: number;
  /** What it leads to: a path, or `socket:[INODE]` and the like. */
  target: string;
  /** Whether a program that the process executes goes without it: O_CLOEXEC, open(2). */
  closesOnExec: boolean;
}

const O_CLOEXEC = 0o2000000;

export const countOpenFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

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
