/**
 * Says when devices may have come or gone: by watching where the kernel makes their nodes. One for all links, and
 * nothing is watched while no link asks. A folder that can't be watched is no failure: links look again from time
 * to time anyway.
 */
import { type FSWatcher, watch } from 'node:fs';

const DEV = '/dev';
const FOLDERS = ['dri', 'input'];

export class DeviceWatch {
  readonly #listeners = new Set<() => void>();
  readonly #watchers = new Map<string, FSWatcher>();

  /** The returned function ends the subscription. */
  subscribe(listener: () => void): () => void {
    if (this.#listeners.size === 0) this.#begin();
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#end();
    };
  }

  #begin(): void {
    this.#watch(DEV, (name) => {
      if (name === null || !FOLDERS.includes(name)) return;
      this.#watchFolder(name); // made, or made anew
      this.#changed();
    });
    for (const name of FOLDERS) this.#watchFolder(name);
  }

  #watchFolder(name: string): void {
    this.#watch(`${DEV}/${name}`, () => this.#changed());
  }

  #watch(path: string, onEvent: (name: string | null) => void): void {
    this.#watchers.get(path)?.close();
    this.#watchers.delete(path);
    try {
      const watcher = watch(path, { persistent: false }, (_event, name) => onEvent(name));
      watcher.on('error', () => watcher.close());
      this.#watchers.set(path, watcher);
    } catch {
      // Not there, or no watch is left.
    }
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #end(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }
}
