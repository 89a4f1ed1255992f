/**
 * A quick look at a revision on disk: a text that changes whenever one of its files may have, and the
 * folders in which such a change would show. Nothing is opened or read.
 */
import type { BigIntStats } from 'node:fs';
import { lstat, opendir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { MAX_ENTRIES } from '../manifest/limits.js';
import { MANIFEST_FILES, mayBeContainer } from '../manifest/state.js';
import { byName } from '../manifest/text.js';

/** A folder worth watching, under its path. */
export interface WatchedFolder {
  /** Another one at the same path has another. */
  readonly identity: string;
  /** Names in it that matter; null: all. */
  readonly names: ReadonlySet<string> | null;
}

export interface Look {
  readonly fingerprint: string;
  readonly folders: ReadonlyMap<string, WatchedFolder>;
}

/** Never rejects: what is not there is part of the fingerprint. */
export async function lookAtRevision(path: string): Promise<Look> {
  const folders = new Map<string, WatchedFolder>();
  const parts: string[] = [];
  await addParent(path, folders);
  const stats = await quietly(stat(path, { bigint: true }));
  parts.push(markOf(stats));
  if (stats?.isDirectory()) {
    folders.set(path, { identity: identityOf(stats), names: null });
    for (const name of await namesIn(path)) parts.push(...(await lookInto(path, name, folders)));
  }
  return { fingerprint: parts.join('\n'), folders };
}

/** The folder that holds `path`, for changes of that name: also its being replaced or made. */
export async function addParent(path: string, folders: Map<string, WatchedFolder>): Promise<void> {
  const parent = dirname(path);
  const stats = await quietly(stat(parent, { bigint: true }));
  if (!stats) return;
  const known = folders.get(parent)?.names;
  if (known === null) return;
  const names = new Set([...(known ?? []), basename(path)]);
  folders.set(parent, { identity: identityOf(stats), names });
}

async function lookInto(path: string, name: string, folders: Map<string, WatchedFolder>) {
  const at = join(path, name);
  const stats = await quietly(lstat(at, { bigint: true }));
  const parts = [`${JSON.stringify(name)} ${markOf(stats)}`];
  if (!stats?.isDirectory() || !mayBeContainer(name)) return parts;
  folders.set(at, { identity: identityOf(stats), names: new Set(MANIFEST_FILES) });
  const files = MANIFEST_FILES.map((file) => quietly(lstat(join(at, file), { bigint: true })));
  return [...parts, ...(await Promise.all(files)).map(markOf)];
}

async function namesIn(path: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of await opendir(path)) {
      names.push(name);
      if (names.length > MAX_ENTRIES) break;
    }
  } catch {
    names.push('unreadable'); // reading it for real will say why
  }
  return names.sort(byName);
}

function quietly<T>(looking: Promise<T>): Promise<T | undefined> {
  return looking.catch(() => undefined);
}

function identityOf({ dev, ino }: BigIntStats): string {
  return `${dev} ${ino}`;
}

function markOf(stats: BigIntStats | undefined): string {
  if (!stats) return 'absent';
  const { mode, size, mtimeNs, ctimeNs } = stats;
  return `${identityOf(stats)} ${mode} ${size} ${mtimeNs} ${ctimeNs}`;
}
