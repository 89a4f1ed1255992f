/**
 * Metadata of the user or of the device: texts by key, each in a file of its own that is named after its key, so that
 * a container reads them as files (`/pantavisor/user-meta/KEY`).
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { byName } from '../../manifest/text.js';
import { isStoredName, syncFolder, writeDurably } from './durable.js';

/** How many bytes a value may have, and how many keys there may be. */
export const MAX_VALUE = 1024 * 1024;
const MAX_KEYS = 1024;

export class Metadata {
  readonly folder: string;

  /** Makes the folder; throws where it can't. */
  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o755 });
  }

  /** In order of the keys. */
  all(): Record<string, string> {
    const entries = this.#keys().map((key) => [key, readFileSync(join(this.folder, key), 'utf8')]);
    return Object.fromEntries(entries) as Record<string, string>;
  }

  /** Whether there is room for it. */
  hasRoomFor(key: string): boolean {
    const keys = this.#keys();
    return keys.includes(key) || keys.length < MAX_KEYS;
  }

  /** `key`: as `isStoredName` allows it. Rejects with the system's error. */
  put(key: string, value: Buffer | string): Promise<void> {
    return writeDurably(join(this.folder, key), value);
  }

  /** False: there was none. */
  async delete(key: string): Promise<boolean> {
    if (!this.#keys().includes(key)) return false;
    await rm(join(this.folder, key), { force: true });
    await syncFolder(this.folder);
    return true;
  }

  #keys(): string[] {
    return readdirSync(this.folder).filter(isStoredName).sort(byName);
  }
}
