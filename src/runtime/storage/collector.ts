/**
 * Takes away what nobody needs any more, so that a storage that is left alone for years does not fill up.
 *
 * Kept are the revision that runs, the one that worked before it, that of the command line, and those that nobody has
 * taken up yet; what these name; and the logs and volumes of the revision that each container came with, whether or not
 * it runs. An object that no revision names is kept for as long as a step may be about to name it.
 *
 * Nothing is collected while a revision is being tried. Collecting, the put of a step, and the begin of a change wait
 * for each other (`Storage.changes`), so that none of them sees another's half. A kill in the middle leaves revisions
 * that are whole or gone, and never one without its objects, which go last.
 */
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Storage } from './storage.js';
import { refuseIfBusy } from './storage-routes.js';
import { FIRST, type Step } from './trails.js';

export interface CollectorParts {
  readonly storage: Storage;
  /** The revision that runs. */
  readonly current: () => string;
  /** Of each container that there is, the revision that it came with. */
  readonly startedIn: () => Iterable<string | undefined>;
  /** Why nothing may be collected now, in one sentence; undefined: it may. */
  readonly busyWith: () => string | undefined;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** How long an object that was put waits for the step that names it, in milliseconds. */
const GRACE_MS = 600_000;

export class Collector {
  readonly #parts: CollectorParts;

  constructor(parts: CollectorParts) {
    this.#parts = parts;
  }

  /** Resolves with how many bytes were taken away; rejects with an HttpError where nothing may be. */
  run(): Promise<number> {
    const { busyWith, storage } = this.#parts;
    return storage.changes.run(async () => {
      refuseIfBusy(busyWith());
      return this.#collect();
    });
  }

  async #collect(): Promise<number> {
    const { current, startedIn, storage, now = Date.now } = this.#parts;
    const { objects, trails } = storage;
    const { boot } = trails;
    const wanted = new Set([FIRST, current(), boot?.done, boot?.trying, boot?.before]);
    const all = trails.list();
    const isKept = ({ name, progress }: Step) => wanted.has(name) || progress.status === 'NEW';
    for (const step of all) if (!isKept(step)) await trails.remove(step.name);
    const kept = all.filter(isKept).map(({ name }) => name);
    const inUse = new Set<string | undefined>([...kept, ...startedIn()]);
    const needed = trails.objects();
    const folders = [
      ...storage.foldersOfRevisions().filter(({ revision }) => !inUse.has(revision)),
      ...storage.unpackedRoots().filter(({ sha256 }) => !needed.has(sha256)),
    ];
    let reclaimed = 0;
    for (const { path } of folders) {
      reclaimed += await sizeOf(path);
      await rm(path, { recursive: true, force: true });
    }
    return reclaimed + (await objects.collect((sha256) => needed.has(sha256), now() - GRACE_MS));
  }
}

/** Bytes of all files below it. An unpacked root has very many: whatever else this process does goes on meanwhile. */
async function sizeOf(folder: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) sum += await sizeOf(path);
    else if (entry.isFile()) sum += await sizeOfFile(path);
  }
  return sum;
}

/** 0: it is gone meanwhile. */
async function sizeOfFile(path: string): Promise<number> {
  const stats = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  return stats?.size ?? 0;
}
