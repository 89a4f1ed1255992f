/**
 * What a revision has beside its JSON: files, which a state names by the SHA-256 of their bytes.
 *
 * An archive has them as `objects/SHA256`; only those that the state names are taken, in one pass, whatever else is in
 * it. A folder has them in place: files in the folder of a container, and below `_config`. What takes them (`ObjectSink`)
 * checks the hash of those that come from an archive.
 */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import type { Parser, ReadEntry } from 'tar';
import { ARCHIVE_HEAD, invalid, isArchive, isRegular, tarParser, unpacked } from './archive.js';
import {
  close,
  FileFault,
  isFolder,
  listFolder,
  openFileAt,
  openFolderAt,
  openNamedFile,
  openNamedFolder,
  readHead,
} from './files.js';
import { EXPORT } from './folder.js';
import { MAX_ENTRIES, MAX_MANIFEST, MAX_STATE } from './limits.js';
import { type Problem, problem, show } from './problem.js';
import { mayBeContainer } from './state.js';

export const SHA256 = /^[0-9a-f]{64}$/;
/** Folders within each other below `_config`. */
const MAX_DEPTH = 32;
const CONFIG_FOLDER = '_config';

/** Takes the bytes of an object. */
export interface ObjectSink {
  /** `why`: one clause, such as that they have another hash. Reads all of them, or gives up and says so. */
  put(
    sha256: string,
    bytes: AsyncIterable<Buffer>,
    length: number,
  ): Promise<{ readonly ok: true } | { readonly ok: false; readonly why: string }>;
  /** Whether it wants the bytes of a file that was named after them just now. Absent: it does. */
  wants?(sha256: string, length: number): boolean;
}

export interface TakenObjects {
  /** Of folders: the SHA-256 of each file, under the key that a state has for it. */
  readonly state: Readonly<Record<string, string>>;
  /** Those that were put, and those of folders that the sink did not want. */
  readonly taken: ReadonlySet<string>;
  readonly problems: readonly Problem[];
}

/** By key. Those of the board and of signatures are not read. */
export function objectsOf(state: Readonly<Record<string, unknown>>): Map<string, string> {
  const named = Object.entries(state).filter(
    (entry): entry is [string, string] =>
      typeof entry[1] === 'string' && SHA256.test(entry[1]) && !/^(#|bsp\/|_sigs\/)/.test(entry[0]),
  );
  return new Map(named);
}

/** `paths`: as `readRevisions` takes them. `state`: what that read. Never rejects, unless the sink does. */
export async function takeObjects(
  paths: readonly string[],
  state: Readonly<Record<string, unknown>>,
  sink: ObjectSink,
): Promise<TakenObjects> {
  const taker = new Taker(state, sink);
  for (const path of paths) await taker.take(path);
  return taker;
}

/** Says which objects have another hash, and keeps those alone that are no longer than a manifest may be. */
export class HashCheck implements ObjectSink {
  readonly short = new Map<string, string>();
  #left = MAX_STATE;

  wants(_sha256: string, length: number): boolean {
    return length <= Math.min(MAX_MANIFEST, this.#left);
  }

  async put(sha256: string, bytes: AsyncIterable<Buffer>, length: number) {
    const hash = createHash('sha256');
    const isShort = this.wants(sha256, length);
    const chunks: Buffer[] = [];
    for await (const chunk of bytes) {
      hash.update(chunk);
      if (isShort) chunks.push(Buffer.from(chunk));
    }
    const found = hash.digest('hex');
    if (found === sha256) {
      if (isShort) this.short.set(sha256, Buffer.concat(chunks).toString());
      if (isShort) this.#left -= length;
      return { ok: true } as const;
    }
    return { ok: false, why: `bytes with the SHA-256 ${found}` } as const;
  }
}

class Taker implements TakenObjects {
  readonly state: Record<string, string> = {};
  readonly taken = new Set<string>();
  readonly problems: Problem[] = [];
  /** By SHA-256, the key that names it. */
  readonly #wanted: ReadonlyMap<string, string>;
  readonly #sink: ObjectSink;
  #files = 0;

  constructor(state: Readonly<Record<string, unknown>>, sink: ObjectSink) {
    this.#wanted = new Map([...objectsOf(state)].map(([key, sha256]) => [sha256, key]));
    this.#sink = sink;
  }

  /** What can't be opened was told by whoever read the revision. */
  async take(path: string): Promise<void> {
    const isOne = await isFolder(path);
    const handle = await (isOne ? openNamedFolder(path) : openNamedFile(path));
    if (handle instanceof FileFault) return;
    try {
      if (isOne) await this.#fromFolder(handle);
      else await this.#fromArchive(handle, path);
    } finally {
      await close(handle);
    }
  }

  async #fromFolder(folder: FileHandle): Promise<void> {
    const entries = await listFolder(folder, MAX_ENTRIES);
    if (entries instanceof FileFault) return;
    for (const { name, kind } of entries) {
      if (kind === 'file' && EXPORT.test(name)) {
        await this.#openFile(folder, name, (handle) => this.#fromArchive(handle, name));
      } else if (kind === 'folder' && (name === CONFIG_FOLDER || mayBeContainer(name))) {
        await this.#below(folder, name, name, name === CONFIG_FOLDER ? MAX_DEPTH : 0);
      }
    }
  }

  /** `depth`: how many folders further down. */
  async #below(parent: FileHandle, name: string, key: string, depth: number): Promise<void> {
    const folder = await openFolderAt(parent, name);
    if (folder instanceof FileFault) return;
    try {
      const entries = await listFolder(folder, MAX_ENTRIES);
      if (entries instanceof FileFault) return;
      for (const entry of entries) {
        const path = `${key}/${entry.name}`;
        if (entry.kind === 'folder' && depth > 0) {
          await this.#below(folder, entry.name, path, depth - 1);
        } else if (entry.kind === 'file' && (depth > 0 || !entry.name.endsWith('.json'))) {
          await this.#openFile(folder, entry.name, (handle) => this.#fromFile(handle, path));
        }
      }
    } finally {
      await close(folder);
    }
  }

  async #openFile(
    folder: FileHandle,
    name: string,
    use: (handle: FileHandle) => Promise<void>,
  ): Promise<void> {
    const handle = await openFileAt(folder, name);
    if (handle instanceof FileFault) return;
    try {
      await use(handle);
    } finally {
      await close(handle);
    }
  }

  /** Read for its name, and again for its bytes where they are wanted. */
  async #fromFile(handle: FileHandle, key: string): Promise<void> {
    this.#files++;
    if (this.#files > MAX_ENTRIES) return;
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of bytesOf(handle)) {
      hash.update(chunk);
      size += chunk.length;
    }
    const sha256 = hash.digest('hex');
    this.state[key] = sha256;
    if (this.#sink.wants?.(sha256, size) === false) this.taken.add(sha256);
    else await this.#put(sha256, key, bytesOf(handle), size);
  }

  async #fromArchive(handle: FileHandle, file: string): Promise<void> {
    const head = await readHead(handle, ARCHIVE_HEAD);
    if (head instanceof FileFault || !isArchive(head)) return; // a state: it has none
    try {
      await unpacked(handle, head, (bytes, limit) => this.#unpack(bytes, limit));
    } catch (thrown) {
      const { code, found, expected } = invalid(thrown);
      this.problems.push(problem(code, { file, pointer: '' }, found, expected));
    }
  }

  async #unpack(bytes: AsyncIterable<Buffer>, limit: number): Promise<void> {
    let putting: Promise<void> = Promise.resolve();
    let isCutOff = false;
    let begun = null as PassThrough | null;
    const parser = tarParser((entry) => {
      const sha256 = /^(?:\.\/)?objects\/([0-9a-f]{64})$/.exec(entry.path)?.[1];
      const key = sha256 === undefined ? undefined : this.#wanted.get(sha256);
      if (sha256 === undefined || key === undefined || !isRegular(entry)) {
        entry.resume();
        return;
      }
      putting = putting.then(() => {
        if (isCutOff) return undefined;
        const taken = bytesFrom(entry);
        begun = taken;
        return this.#fromEntry(taken, entry, sha256, key);
      });
      putting.catch(() => undefined); // it is awaited below
    });
    try {
      let total = 0;
      for await (const chunk of bytes) {
        total += chunk.length;
        if (total > limit) throw new Error(`more than ${limit} bytes`);
        if (!parser.write(chunk)) await this.#drained(parser, putting);
      }
      await new Promise<void>((resolve) => {
        parser.once('end', resolve);
        parser.end();
      });
      await putting;
    } catch (thrown) {
      // Whoever takes the bytes of the object that was begun gives them up, as nobody will send the rest.
      isCutOff = true;
      begun?.destroy(new Error('the archive is cut off'));
      await putting.catch(() => undefined);
      throw thrown;
    }
  }

  /** An entry is read as fast as its bytes are put; one that is given up is read to its end. */
  async #drained(parser: Parser, putting: Promise<void>): Promise<void> {
    await Promise.race([
      new Promise<void>((resolve) => parser.once('drain', resolve)),
      putting.then(() => new Promise<void>((resolve) => setImmediate(resolve))),
    ]);
  }

  async #fromEntry(
    bytes: PassThrough,
    { size }: ReadEntry,
    sha256: string,
    key: string,
  ): Promise<void> {
    if (!this.taken.has(sha256)) await this.#put(sha256, key, bytes, size);
    bytes.destroy(); // whatever of it was not read
  }

  async #put(
    sha256: string,
    key: string,
    bytes: AsyncIterable<Buffer>,
    size: number,
  ): Promise<void> {
    const put = await this.#sink.put(sha256, bytes, size);
    if (put.ok) {
      this.taken.add(sha256);
      return;
    }
    const found = `for the object ${show(sha256)} ${put.why}`;
    this.problems.push(
      problem('object-wrong', { file: key, pointer: '' }, found, `${size} bytes with that hash`),
    );
  }
}

/** What is in an entry, as a stream that can be destroyed in its middle: the entry is then read to its end. */
function bytesFrom(entry: ReadEntry): PassThrough {
  const bytes = new PassThrough();
  bytes.on('error', () => undefined);
  bytes.once('close', () => {
    entry.unpipe(bytes);
    entry.resume();
  });
  entry.pipe(bytes);
  return bytes;
}

function bytesOf(handle: FileHandle): AsyncIterable<Buffer> {
  return handle.createReadStream({ autoClose: false, start: 0 });
}
