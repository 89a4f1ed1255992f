/**
 * Reads a revision in any of its shapes: a folder, a state file, a pvrexport, a folder of pvrexports.
 *
 * Never rejects, whatever lies at the path and however it changes meanwhile: what is wrong is in `problems`, and
 * the rest of the revision is there. Which shape it is, its content says, not its name.
 */
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { ARCHIVE_HEAD, isArchive } from './archive.js';
import { toRevision } from './assembly.js';
import { DEVICE_FILE } from './device.js';
import { BUILT_IN } from './entries.js';
import {
  close,
  FileFault,
  isFolder,
  listFolder,
  openNamedFile,
  openNamedFolder,
  readAll,
  readHead,
} from './files.js';
import { archiveValues, note, type Reading, readFolder } from './folder.js';
import { isObject, parseJson } from './json.js';
import { MAX_ENTRIES, MAX_STATE } from './limits.js';
import { ProblemList } from './problem-list.js';
import type { Revision } from './revision.js';
import { type Layer, MANIFEST_FILES, mergeLayers, readState, STATE_SPEC } from './state.js';

export async function readRevision(path: string, vocabulary = BUILT_IN): Promise<Revision> {
  return readRevisions([path], vocabulary);
}

/** Several as one, in the order given: a later one wins a key, and a notice says so. */
export async function readRevisions(
  paths: readonly string[],
  vocabulary = BUILT_IN,
): Promise<Revision> {
  const reading: Reading = { problems: new ProblemList(), failed: false };
  const layers: Layer[] = [];
  for (const path of paths) {
    const read = await readOne(path, reading);
    if (read.length === 0) reading.failed = true;
    layers.push(...read);
  }
  return toRevision(mergeLayers(layers, reading.problems), vocabulary, reading);
}

async function readOne(path: string, reading: Reading): Promise<Layer[]> {
  const folder = await isFolder(path);
  const handle = await (folder ? openNamedFolder(path) : openNamedFile(path));
  if (handle instanceof FileFault) {
    note(handle, path, reading);
    return [];
  }
  try {
    if (folder) return await folderLayers(handle, path, reading);
    const values = await fileValues(handle, path, reading);
    return values ? [{ source: path, values }] : [];
  } finally {
    await close(handle);
  }
}

async function folderLayers(folder: FileHandle, path: string, reading: Reading): Promise<Layer[]> {
  const before = reading.problems.count;
  const layers = await readFolder(folder, path, reading);
  if (layers instanceof FileFault) {
    note(layers, path, reading);
    return [];
  }
  if (layers.length === 0 && reading.problems.count === before) {
    note(await noRevision(folder, path), path, reading);
  }
  return layers;
}

/** A folder of nothing that we know; perhaps that of one container. */
async function noRevision(folder: FileHandle, path: string): Promise<FileFault> {
  const entries = await listFolder(folder, MAX_ENTRIES);
  const names = entries instanceof FileFault ? [] : entries.map(({ name }) => name);
  if (MANIFEST_FILES.some((file) => names.includes(file))) {
    const above = dirname(resolve(path));
    return new FileFault(
      'path-missing',
      'the folder of one container',
      `the one above it, ${above}`,
    );
  }
  if (names.includes('json')) {
    return new FileFault('path-missing', 'an unpacked pvrexport', `the state in it, ${path}/json`);
  }
  const found = 'a folder without containers, device.json or pvrexports';
  return new FileFault('path-missing', found, 'a revision');
}

async function fileValues(handle: FileHandle, path: string, reading: Reading) {
  const head = await readHead(handle, ARCHIVE_HEAD);
  if (!(head instanceof FileFault) && isArchive(head)) return archiveValues(handle, path, reading);
  const bytes = await readAll(handle, MAX_STATE);
  if (bytes instanceof FileFault) {
    note(bytes, path, reading);
    return undefined;
  }
  const value = parseJson(bytes, path, reading.problems);
  if (value === undefined) return undefined;
  const alone = revisionOf(path);
  if (alone !== undefined && !(isObject(value) && value['#spec'] === STATE_SPEC)) {
    const found = `${basename(path)} alone`;
    note(
      new FileFault('path-missing', found, `the revision that it is of, ${alone}`),
      path,
      reading,
    );
    return undefined;
  }
  return readState(value, bytes.length, path, reading.problems);
}

/** The folder that a manifest by this name would be part of; undefined for any other file. */
function revisionOf(path: string): string | undefined {
  const [name, folder] = [basename(path), dirname(resolve(path))];
  if (name === DEVICE_FILE) return folder;
  return MANIFEST_FILES.some((file) => file === name) ? dirname(folder) : undefined;
}
