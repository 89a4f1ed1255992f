/**
 * Places inside a root that is not trusted: found, and made where they are missing, as if that root were `/`.
 *
 * Every folder on the way is held open and looked into by its descriptor, without following symbolic links; a link is
 * read, and followed within the root. So nothing outside is reached, whatever is swapped meanwhile.
 */
import { closeSync, constants, lstatSync, mkdirSync, openSync, readlinkSync } from 'node:fs';
import { ok, type WhyResult } from '../../../kernel/result.js';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
const FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK;
/** As the kernel's own limit. */
const MAX_LINKS = 40;

/** What is mounted at a place inside before the next one is looked for. */
export type Cover =
  /** A file system that is empty: nothing leads out of it. */
  | { readonly kind: 'fresh' }
  /** A folder of ours, by its path. */
  | { readonly kind: 'folder'; readonly path: string }
  /** Something of the host's, in which nothing is made. */
  | { readonly kind: 'foreign' };

export class Inside {
  readonly #root: string;
  readonly #covers = new Map<string, Cover>();

  /** `root`: a path that leads to the folder, by which it is opened. */
  constructor(root: string) {
    this.#root = root;
  }

  /** From now on, this is at that place. `path`: as `find` gave it. */
  cover(path: string, cover: Cover): void {
    this.#covers.set(path, cover);
  }

  /**
   * The path without symbolic links, and without a slash at its beginning. `create`: what is made where nothing is;
   * folders on the way as well. `isLater`: nothing was made, as it is in an empty file system that is to be mounted there.
   */
  find(
    path: string,
    create?: 'dir' | 'file',
  ): WhyResult<{ readonly path: string; readonly isLater: boolean }> {
    const walk = new Walk(this.#root, this.#covers);
    try {
      return walk.go(path, create);
    } catch (error) {
      const { code = 'an error' } = error as NodeJS.ErrnoException;
      return { ok: false, why: `${path} can't be made inside it (${code})` };
    } finally {
      walk.close();
    }
  }
}

class Walk {
  readonly #covers: ReadonlyMap<string, Cover>;
  /** The folders from the root on; the first one has no name. */
  readonly #folders: { readonly name: string; readonly fd: number }[];

  constructor(root: string, covers: ReadonlyMap<string, Cover>) {
    this.#covers = covers;
    this.#folders = [{ name: '', fd: openSync(root, O_RDONLY | O_DIRECTORY) }];
  }

  go(path: string, create: 'dir' | 'file' | undefined) {
    const left = partsOf(path);
    let links = 0;
    while (left.length > 0) {
      const name = left.shift() as string;
      if (name === '..') {
        if (this.#folders.length > 1) closeSync(this.#folders.pop()?.fd as number);
        continue;
      }
      const here = [...this.#folders.slice(1).map((folder) => folder.name), name].join('/');
      const cover = this.#covers.get(here);
      if (cover && cover.kind !== 'folder') {
        return ok({ path: [here, ...left].join('/'), isLater: cover.kind === 'fresh' });
      }
      if (cover) {
        this.#folders.push({ name, fd: openSync(cover.path, O_RDONLY | O_DIRECTORY) });
        continue;
      }
      const at = `/proc/self/fd/${this.#folders.at(-1)?.fd}/${name}`;
      const found = lstatSync(at, { throwIfNoEntry: false });
      if (found?.isSymbolicLink()) {
        links++;
        if (links > MAX_LINKS)
          return { ok: false as const, why: `${path} has too many symbolic links` };
        const to = readlinkSync(at);
        if (to.startsWith('/')) this.#restart();
        left.unshift(...partsOf(to));
        continue;
      }
      const isLast = left.length === 0;
      if (isLast && found) return ok({ path: here, isLater: false });
      if (!found && create === undefined)
        return ok({ path: [here, ...left].join('/'), isLater: false });
      if (!found && isLast && create === 'file') {
        closeSync(openSync(at, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644));
        return ok({ path: here, isLater: false });
      }
      if (!found) mkdirSync(at, 0o755);
      this.#folders.push({ name, fd: openSync(at, FOLDER) });
    }
    const here = this.#folders.slice(1).map((folder) => folder.name);
    return ok({ path: here.join('/'), isLater: false });
  }

  close(): void {
    for (const { fd } of this.#folders) closeSync(fd);
    this.#folders.length = 0;
  }

  #restart(): void {
    while (this.#folders.length > 1) closeSync(this.#folders.pop()?.fd as number);
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
