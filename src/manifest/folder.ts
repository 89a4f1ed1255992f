/**
 * A revision that is a folder: `device.json`, in older ones `groups.json`, a folder for each container, and any pvrexport
 * in name order after that. One file that can't be read takes out itself alone.
 */
import type { FileHandle } from 'node:fs/promises';
import { readArchive } from './archive.js';
import { DEVICE_FILE, GROUPS_FILE } from './device.js';
import {
  close,
  FileFault,
  leadsToFolder,
  listFolder,
  openFileAt,
  openFolderAt,
  readAll,
} from './files.js';
import { parseJson } from './json.js';
import { MAX_ENTRIES, MAX_MANIFEST, MAX_STATE } from './limits.js';
import type { ProblemList } from './problem-list.js';
import { type Layer, MANIFEST_FILES, mayBeContainer, readState, STATE_SPEC } from './state.js';

/** Names of pvrexports. */
export const EXPORT = /\.pvrexport(\.tgz|\.tar|\.tar\.gz)?$/;

/** What is noted on the way: problems, and whether the system rather than the revision was at fault. */
export interface Reading {
  readonly problems: ProblemList;
  failed: boolean;
}

/** One layer for the folder's own manifests, if it has any, and one for each archive in it. */
export async function readFolder(
  folder: FileHandle,
  path: string,
  reading: Reading,
): Promise<Layer[] | FileFault> {
  const entries = await listFolder(folder, MAX_ENTRIES);
  if (entries instanceof FileFault) return entries;
  const manifests = new ManifestFolder(folder, reading);
  const layers: Layer[] = [];
  for (const { name, kind } of entries) {
    if (name === DEVICE_FILE || name === GROUPS_FILE) await manifests.read(folder, name, name);
    else if (kind !== 'folder' && EXPORT.test(name))
      layers.push(...(await exportLayer(folder, name, reading)));
    else if (kind !== 'file' && mayBeContainer(name)) await manifests.readContainer(name, kind);
  }
  if (manifests.values.size > 0) {
    const values = new Map<string, unknown>([['#spec', STATE_SPEC], ...manifests.values]);
    layers.unshift({ source: path, values });
  }
  return layers;
}

/** Notes a fault as a problem of `file`. */
export function note(fault: FileFault, file: string, reading: Reading): void {
  reading.problems.add(fault.code, { file, pointer: '' }, fault.found, fault.expected);
  if (fault.passing) reading.failed = true;
}

/** The state of one archive that is open; its own problems are noted under `file`. */
export async function archiveValues(handle: FileHandle, file: string, reading: Reading) {
  const bytes = await readArchive(handle);
  if (bytes instanceof FileFault) {
    note(bytes, file, reading);
    return undefined;
  }
  const value = parseJson(bytes, file, reading.problems);
  return value === undefined ? undefined : readState(value, bytes.length, file, reading.problems);
}

async function exportLayer(folder: FileHandle, name: string, reading: Reading): Promise<Layer[]> {
  const handle = await openFileAt(folder, name);
  if (handle instanceof FileFault) {
    note(handle, name, reading);
    return [];
  }
  try {
    const values = await archiveValues(handle, name, reading);
    return values ? [{ source: name, values }] : [];
  } finally {
    await close(handle);
  }
}

class ManifestFolder {
  readonly values = new Map<string, unknown>();
  readonly #root: FileHandle;
  readonly #reading: Reading;
  #left = MAX_STATE;

  constructor(root: FileHandle, reading: Reading) {
    this.#root = root;
    this.#reading = reading;
  }

  async readContainer(name: string, kind: string): Promise<void> {
    const folder = await openFolderAt(this.#root, name);
    if (folder instanceof FileFault) {
      // A socket or a link to a file lying around is nothing to us; a link to a folder stands for a container.
      if (kind === 'folder' || (await leadsToFolder(this.#root, name))) {
        note(folder, name, this.#reading);
      }
      return;
    }
    try {
      for (const file of MANIFEST_FILES) await this.read(folder, file, `${name}/${file}`);
    } finally {
      await close(folder);
    }
  }

  /** A file that is not there is no problem. */
  async read(folder: FileHandle, name: string, key: string): Promise<void> {
    const handle = await openFileAt(folder, name);
    if (handle instanceof FileFault) {
      if (handle.code !== 'path-missing') note(handle, key, this.#reading);
      return;
    }
    try {
      const bytes = await readAll(handle, Math.min(MAX_MANIFEST, this.#left));
      if (bytes instanceof FileFault) {
        note(bytes, key, this.#reading);
        return;
      }
      this.#left -= bytes.length;
      const value = parseJson(bytes, key, this.#reading.problems);
      if (value !== undefined) this.values.set(key, value);
    } finally {
      await close(handle);
    }
  }
}
