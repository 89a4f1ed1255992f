/**
 * The objects of all revisions: files that are named after the SHA-256 of their bytes.
 *
 * What is in here under a name has that hash: bytes are hashed while they come, and get their name only once they are
 * whole, right and on the disk. So a put that is cut off, or two puts of one object at once, leave the one right file or
 * none.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  statfs,
  utimes,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { objectsOf, SHA256 } from '../../manifest/objects.js';
import { byName } from '../../manifest/text.js';
import { besides, syncFolder } from './durable.js';

export interface StoredObject {
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/** `bad-checksum`: the bytes have another hash. `no-space`: the disk is full. `cut-off`: they ended too early. */
export type PutResult =
  | { readonly ok: true; readonly isNew: boolean }
  | {
      readonly ok: false;
      readonly kind: 'bad-checksum' | 'no-space' | 'cut-off';
      readonly why: string;
    };

export class ObjectStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Whether or not it is there. */
  pathOf(sha256: string): string {
    return join(this.#folder, sha256);
  }

  /** Its size in bytes; undefined: it is not there. */
  async sizeOf(sha256: string): Promise<number | undefined> {
    if (!SHA256.test(sha256)) return undefined;
    try {
      const stats = await stat(this.pathOf(sha256));
      return stats.isFile() ? stats.size : undefined;
    } catch {
      return undefined;
    }
  }

  /** Where it is; undefined: it is not there. */
  find(sha256: string): string | undefined {
    const path = this.pathOf(sha256);
    return SHA256.test(sha256) && existsSync(path) ? path : undefined;
  }

  /** The first object that a state names and that is not there, with the key that names it. */
  async firstMissing(
    state: Readonly<Record<string, unknown>>,
  ): Promise<{ readonly key: string; readonly sha256: string } | undefined> {
    for (const [key, sha256] of objectsOf(state)) {
      if ((await this.sizeOf(sha256)) === undefined) return { key, sha256 };
    }
    return undefined;
  }

  async list(): Promise<StoredObject[]> {
    const names = (await namesIn(this.#folder)).filter((name) => SHA256.test(name)).sort(byName);
    const found: StoredObject[] = [];
    for (const sha256 of names) {
      const size = await this.sizeOf(sha256);
      if (size !== undefined) found.push({ sha256, size });
    }
    return found;
  }

  /**
   * Stores the bytes under `sha256`, a name as SHA256 has it. `length`: how many they will be, where that is known.
   * What is there already is not written again, but has to be right as well, and counts as put now.
   * Rejects only with errors of the system other than a full disk.
   */
  async put(
    sha256: string,
    bytes: AsyncIterable<Buffer>,
    length: number | undefined,
  ): Promise<PutResult> {
    const isThere = (await this.sizeOf(sha256)) !== undefined;
    const draft = isThere ? null : besides(this.pathOf(sha256));
    let file: FileHandle | null = null;
    try {
      if (draft) {
        await mkdir(dirname(draft), { recursive: true });
        const room = await roomIn(this.#folder);
        if (length !== undefined && length > room)
          return noSpace(`${length} bytes, ${room} are free`);
        file = await open(draft, 'wx', 0o640);
      }
      const fault = await this.#take(sha256, bytes, length, file);
      if (fault) return fault;
      if (!file || !draft) {
        const now = new Date();
        await utimes(this.pathOf(sha256), now, now);
        return { ok: true, isNew: false };
      }
      await file.sync();
      await rename(draft, this.pathOf(sha256));
      await syncFolder(this.#folder);
      return { ok: true, isNew: true };
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      return noSpace((error as Error).message);
    } finally {
      await file?.close().catch(() => undefined);
      if (draft) await rm(draft, { force: true });
    }
  }

  /** Whether so many bytes may be put. */
  async hasRoomFor(length: number): Promise<boolean> {
    await mkdir(this.#folder, { recursive: true });
    return length <= (await roomIn(this.#folder));
  }

  /**
   * Removes the objects that `isNeeded` does not name and that were put before `time`, in milliseconds since 1970.
   * Resolves with how many bytes they had.
   */
  async collect(isNeeded: (sha256: string) => boolean, time: number): Promise<number> {
    let reclaimed = 0;
    for (const { sha256, size } of await this.list()) {
      if (isNeeded(sha256)) continue;
      const path = this.pathOf(sha256);
      const { mtimeMs } = await stat(path);
      if (mtimeMs > time) continue;
      await rm(path, { force: true });
      reclaimed += size;
    }
    return reclaimed;
  }

  /** Removes what puts of a process that was killed have left. To be called before the first put of this one. */
  async sweep(): Promise<void> {
    for (const name of await namesIn(this.#folder)) {
      if (name.startsWith('.')) await rm(join(this.#folder, name), { force: true });
    }
  }

  /** Null: they were all of the object. `file` is written to; null: they are only looked at. */
  async #take(
    sha256: string,
    bytes: AsyncIterable<Buffer>,
    length: number | undefined,
    file: FileHandle | null,
  ): Promise<PutResult | null> {
    const hash = createHash('sha256');
    let size = 0;
    try {
      for await (const chunk of bytes) {
        hash.update(chunk);
        size += chunk.length;
        await file?.appendFile(chunk);
      }
    } catch (error) {
      if (isOfSystem(error)) throw error;
      return {
        ok: false,
        kind: 'cut-off',
        why: `it ended after ${size} of ${length ?? 'its'} bytes`,
      };
    }
    const found = hash.digest('hex');
    if (found === sha256) return null;
    const why = `${size} bytes with the SHA-256 ${found}, expected ${sha256}`;
    return { ok: false, kind: 'bad-checksum', why };
  }
}

function noSpace(why: string): PutResult {
  return { ok: false, kind: 'no-space', why };
}

function isNoSpace(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** The error of a write, not of whoever sends. */
function isOfSystem(error: unknown): boolean {
  const { syscall } = error as NodeJS.ErrnoException;
  return syscall === 'write' || syscall === 'open';
}

async function roomIn(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
