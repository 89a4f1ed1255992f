/**
 * Files that survive a crash: after a kill or a loss of power, a file is what it was before or what it is now, whole.
 * The new content is written beside the file, brought to the disk, and renamed over it; then the folder is brought to
 * the disk, which has the name.
 */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isName } from '../../manifest/text.js';

let count = 0;

/** A name beside `path` that no other write has. It begins with a dot, so that no listing takes it for what is stored. */
export function besides(path: string): string {
  const name = path.slice(dirname(path).length + 1);
  return `${dirname(path)}/.${name}.${process.pid}.${++count}`;
}

/** May something be stored by that name? It is that of a file, and a dot at its beginning is for drafts. */
export function isStoredName(text: string): boolean {
  return isName(text) && !text.startsWith('.') && Buffer.byteLength(text) <= 200;
}

/** Rejects with the system's error, and leaves what was there. Makes the folder. */
export async function writeDurably(path: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = besides(path);
  try {
    const file = await open(draft, 'wx', 0o640);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/** Brings to the disk which names are in it. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
