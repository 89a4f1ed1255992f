/**
 * Reads a revision in any of its shapes: a folder, a state file, a pvrexport, a folder of pvrexports.
 *
 * Never rejects, whatever lies at the path and however it changes meanwhile: what is wrong is in `problems`, and
 * the rest of the revision is there. Which shape it is, its content says, not its name.
 */
import type { FileHandle } from 'node:fs/promises';
import { isGzip } from './archive.js';
import { toRevision } from './assembly.js';
import {
  close,
  Fault,
  isFolder,
  openNamedFile,
  openNamedFolder,
  readAll,
  readHead,
} from './files.js';
import { archiveValues, note, type Reading, readFolder } from './folder.js';
import { parseJson } from './json.js';
import { MAX_STATE } from './limits.js';
import { ProblemList } from './problem-list.js';
import type { Revision } from './revision.js';
import { type Layer, mergeLayers, readState } from './state.js';

export async function readRevision(path: string): Promise<Revision> {
  return readRevisions([path]);
}

/** Several as one, in the order given: a later one wins a key, and a notice says so. */
export async function readRevisions(paths: readonly string[]): Promise<Revision> {
  const reading: Reading = { problems: new ProblemList(), failed: false };
  const layers: Layer[] = [];
  for (const path of paths) {
    const read = await readOne(path, reading);
    if (read.length === 0) reading.failed = true;
    layers.push(...read);
  }
  return toRevision(mergeLayers(layers, reading.problems), reading);
}

async function readOne(path: string, reading: Reading): Promise<Layer[]> {
  const folder = await isFolder(path);
  const handle = await (folder ? openNamedFolder(path) : openNamedFile(path));
  if (handle instanceof Fault) {
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
  if (layers instanceof Fault) {
    note(layers, path, reading);
    return [];
  }
  if (layers.length === 0 && reading.problems.count === before) {
    const found = 'a folder without containers, device.json or .pvrexport.tgz';
    note(new Fault('path-missing', found, 'a revision'), path, reading);
  }
  return layers;
}

async function fileValues(handle: FileHandle, path: string, reading: Reading) {
  const head = await readHead(handle, 2);
  if (!(head instanceof Fault) && isGzip(head)) return archiveValues(handle, path, reading);
  const bytes = await readAll(handle, MAX_STATE);
  if (bytes instanceof Fault) {
    note(bytes, path, reading);
    return undefined;
  }
  const value = parseJson(bytes, path, reading.problems);
  return value === undefined ? undefined : readState(value, bytes.length, path, reading.problems);
}
