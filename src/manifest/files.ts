/**
 * Opening what is said to be a file or folder, without trusting that it is one.
 *
 * Nothing here blocks on a FIFO, wakes a device or follows a symbolic link out of a revision: a path is
 * looked at first, opened with O_NOFOLLOW and O_NONBLOCK (open(2)), and looked at again once it is open. What
 * lies in a folder is reached through the folder's own descriptor, so that swapping the folder meanwhile leads
 * nowhere else. Whoever opens a handle closes it.
 */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, opendir, stat } from 'node:fs/promises';
import type { ProblemCode } from './problem.js';
import { byName } from './text.js';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
const CHUNK = 64 * 1024;
/** The system is short of something or failed: the same look may well succeed later. */
const PASSING = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EIO', 'EINTR', 'EAGAIN', 'ESTALE']);

/** Why something could not be read; becomes a problem where the caller knows the place. */
export class FileFault {
  constructor(
    readonly code: ProblemCode,
    readonly found: string,
    readonly expected: string,
    /** Not the revision's doing: a later look may succeed. */
    readonly passing = false,
  ) {}
}

/** A folder that the operator named: a symbolic link is followed here and in `openNamedFile` only. */
export async function openNamedFolder(path: string): Promise<FileHandle | FileFault> {
  return openChecked(path, 'a folder', {
    look: stat,
    flags: O_RDONLY | O_NONBLOCK | O_DIRECTORY,
    accepts: (stats) => stats.isDirectory(),
  });
}

/** A file that the operator named. */
export async function openNamedFile(path: string): Promise<FileHandle | FileFault> {
  return openChecked(path, 'a regular file or a folder', {
    look: stat,
    flags: O_RDONLY | O_NONBLOCK,
    accepts: (stats) => stats.isFile(),
  });
}

/** A regular file in an open folder. A fault `path-missing` where there is none. */
export async function openFileAt(
  folder: FileHandle,
  name: string,
): Promise<FileHandle | FileFault> {
  return openChecked(pathAt(folder, name), 'a regular file', {
    look: lstat,
    flags: O_RDONLY | O_NONBLOCK | O_NOFOLLOW,
    accepts: (stats) => stats.isFile(),
  });
}

/** A folder in an open folder. */
export async function openFolderAt(
  folder: FileHandle,
  name: string,
): Promise<FileHandle | FileFault> {
  return openChecked(pathAt(folder, name), 'a folder', {
    look: lstat,
    flags: O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_DIRECTORY,
    accepts: (stats) => stats.isDirectory(),
  });
}

/** At most `max` bytes from where the handle stands, even of a file that grows meanwhile. */
export async function readAll(handle: FileHandle, max: number): Promise<Buffer | FileFault> {
  const tooLarge = new FileFault('file-too-large', `more than ${max} bytes`, `at most ${max}`);
  const chunks: Buffer[] = [];
  let total = 0;
  try {
    const { size } = await handle.stat();
    if (size > max) return tooLarge;
    const length = Math.min(size + 1, CHUNK);
    for (;;) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, null);
      if (bytesRead === 0) return Buffer.concat(chunks, total);
      total += bytesRead;
      if (total > max) return tooLarge;
      chunks.push(buffer.subarray(0, bytesRead));
    }
  } catch (thrown) {
    return faultOf(thrown, 'a readable file');
  }
}

/** The first bytes, fewer where there are not as many; the handle's position stays. */
export async function readHead(handle: FileHandle, length: number): Promise<Buffer | FileFault> {
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } catch (thrown) {
    return faultOf(thrown, 'a readable file');
  }
}

/** Is there a folder, following symbolic links? Nothing is opened. */
export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

/** The same of what lies in an open folder. */
export function leadsToFolder(folder: FileHandle, name: string): Promise<boolean> {
  return isFolder(pathAt(folder, name));
}

export interface Entry {
  readonly name: string;
  readonly kind: 'file' | 'folder' | 'other';
}

/** Entries of an open folder in name order, at most `max`; more are a fault. A link to a folder is `other`. */
export async function listFolder(folder: FileHandle, max: number): Promise<Entry[] | FileFault> {
  const entries: Entry[] = [];
  try {
    for await (const entry of await opendir(pathAt(folder, '.'))) {
      if (entries.length === max) {
        return new FileFault('file-too-large', `more than ${max} entries`, `at most ${max}`);
      }
      const kind = entry.isDirectory() ? 'folder' : entry.isFile() ? 'file' : 'other';
      entries.push({ name: entry.name, kind });
    }
  } catch (thrown) {
    return faultOf(thrown, 'a readable folder');
  }
  return entries.sort((a, b) => byName(a.name, b.name));
}

export function close(handle: FileHandle): Promise<void> {
  return handle.close().catch(() => undefined); // only read from: nothing can be lost
}

interface Opening {
  readonly look: (path: string) => Promise<Stats>;
  readonly flags: number;
  readonly accepts: (stats: Stats) => boolean;
}

async function openChecked(path: string, expected: string, how: Opening) {
  let handle: FileHandle | undefined;
  try {
    const before = await how.look(path);
    if (!how.accepts(before)) return new FileFault('file-unreadable', kindOf(before), expected);
    handle = await open(path, how.flags);
    const stats = await handle.stat();
    if (how.accepts(stats)) return handle;
    await close(handle);
    return new FileFault('file-unreadable', kindOf(stats), expected);
  } catch (thrown) {
    if (handle) await close(handle);
    return faultOf(thrown, expected);
  }
}

/** Through the descriptor, as openat(2) would; a name never has a slash, as it was listed or is ours. */
function pathAt(folder: FileHandle, name: string): string {
  return `/proc/self/fd/${folder.fd}/${name}`;
}

function faultOf(thrown: unknown, expected: string): FileFault {
  const code = (thrown as NodeJS.ErrnoException).code ?? 'an unknown error';
  if (code === 'ENOENT') return new FileFault('path-missing', 'nothing', expected);
  if (code === 'ELOOP') return new FileFault('file-unreadable', 'a symbolic link', expected);
  return new FileFault('file-unreadable', `the error ${code}`, expected, PASSING.has(code));
}

function kindOf(stats: Stats): string {
  if (stats.isSymbolicLink()) return 'a symbolic link';
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a FIFO';
  if (stats.isSocket()) return 'a socket';
  return stats.isFile() ? 'a regular file' : 'a device';
}
