/**
 * Watchers on a changing set of folders. A folder that can't be watched is no failure: whoever uses this
 * looks again from time to time anyway.
 */
import { type FSWatcher, watch } from 'node:fs';
import type { Logger } from '../kernel/log.js';
import type { WatchedFolder } from './revision-look.js';

/** Watches have a limit for all processes of a user (inotify(7)); what is beyond this waits for the poll. */
const MAX_WATCHES = 1024;

interface Watch {
  folder: WatchedFolder;
  readonly watcher: FSWatcher;
}

export class WatchSet {
  readonly #watches = new Map<string, Watch>();
  readonly #onChange: () => void;
  readonly #log: Logger;

  constructor(onChange: () => void, log: Logger) {
    this.#onChange = onChange;
    this.#log = log;
  }

  /** Watches these folders and no others. One that was replaced by another is watched anew. */
  update(folders: ReadonlyMap<string, WatchedFolder>): void {
    for (const [path, { folder }] of this.#watches) {
      if (folders.get(path)?.identity !== folder.identity) this.#end(path);
    }
    for (const [path, folder] of folders) {
      const known = this.#watches.get(path);
      if (known) known.folder = folder;
      else if (this.#watches.size < MAX_WATCHES) this.#begin(path, folder);
    }
  }

  close(): void {
    for (const path of [...this.#watches.keys()]) this.#end(path);
  }

  #begin(path: string, folder: WatchedFolder): void {
    try {
      const watcher = watch(path, (_event, name) => {
        const names = this.#watches.get(path)?.folder.names;
        if (!names || name === null || names.has(name)) this.#onChange();
      });
      watcher.on('error', (err) => {
        this.#log.debug({ err, path }, 'a folder is no longer watched');
        this.#end(path);
      });
      this.#watches.set(path, { folder, watcher });
    } catch (err) {
      this.#log.debug({ err, path }, 'a folder can not be watched, it is looked at every second');
    }
  }

  #end(path: string): void {
    this.#watches.get(path)?.watcher.close();
    this.#watches.delete(path);
  }
}
