/**
 * A pvrexport: a tar, gzipped or plain, whose member `json` is the state. Only that member is kept; what comes before
 * it is unpacked and dropped, within a bound that no decompression bomb passes, and what comes after it is not
 * even read.
 */
import type { FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { Parser, type ReadEntry } from 'tar';
import { FileFault, readHead } from './files.js';
import { MAX_STATE, mostUnpacked } from './limits.js';

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);
const REGULAR = new Set(['File', 'OldFile', 'ContiguousFile']);

/** Bytes that tell whether a file is an archive. */
export const ARCHIVE_HEAD = 512;
/** POSIX and GNU have it in each header; the tar of Unix V7 had none. */
const TAR_MAGIC = Buffer.from('ustar');
const TAR_MAGIC_AT = 257;

/** Do these first bytes of a file begin a gzip member (RFC 1952)? */
export function isGzip(head: Buffer): boolean {
  return head.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC);
}

/** Do they begin an archive, gzipped or plain? */
export function isArchive(head: Buffer): boolean {
  if (isGzip(head)) return true;
  return head.subarray(TAR_MAGIC_AT, TAR_MAGIC_AT + TAR_MAGIC.length).equals(TAR_MAGIC);
}

/** Is it a file of its own, no link, folder or device? */
export function isRegular(entry: ReadEntry): boolean {
  return REGULAR.has(entry.type);
}

/**
 * Has `use` read what is in an archive with these first bytes, and tells it how many bytes it may at most be. Rejects
 * where it can't be unpacked, and as `use` does.
 */
export async function unpacked(
  handle: FileHandle,
  head: Buffer,
  use: (bytes: AsyncIterable<Buffer>, limit: number) => Promise<void>,
): Promise<void> {
  const { size } = await handle.stat();
  const limit = mostUnpacked(size);
  const source = handle.createReadStream({ autoClose: false, start: 0 });
  let using: Promise<void> = Promise.resolve();
  const take = (bytes: AsyncIterable<Buffer>) => {
    using = use(bytes, limit);
    return using;
  };
  try {
    if (isGzip(head)) await pipeline(source, createGunzip(), take);
    else await pipeline(source, take);
  } finally {
    await using.catch(() => undefined); // a pipeline that fails does not wait for what its last part clears away
  }
}

/** It takes nothing for brotli or zstd. */
export function tarParser(onReadEntry: (entry: ReadEntry) => void): Parser {
  return new Parser({ brotli: false, zstd: false, onReadEntry });
}

/** Bytes of the member `json`. The handle stays open and is the caller's. */
export async function readArchive(handle: FileHandle): Promise<Buffer | FileFault> {
  const member = new StateMember();
  try {
    const head = await readHead(handle, ARCHIVE_HEAD);
    if (head instanceof FileFault) return head;
    await unpacked(handle, head, (bytes, limit) => member.find(bytes, limit));
  } catch (thrown) {
    // Ending the pipeline early, once the member was found, is an error to the pipeline alone.
    if (member.result === null) return invalid(thrown);
  }
  return member.result ?? new FileFault('archive-invalid', 'no member "json"', 'one');
}

class StateMember {
  result: Buffer | FileFault | null = null;
  readonly #parser = tarParser((entry) => this.#entry(entry));

  async find(unpacked: AsyncIterable<Buffer>, limit: number): Promise<void> {
    let total = 0;
    for await (const chunk of unpacked) {
      if (total === 0 && isGzip(chunk)) {
        this.result = new FileFault('archive-invalid', 'gzip within gzip', 'a tar, gzipped once');
        return;
      }
      total += chunk.length;
      this.#parser.write(chunk);
      if (this.result !== null) return;
      if (total > limit) {
        const found = `more than ${limit} bytes unpacked before a member "json"`;
        this.result = new FileFault('file-too-large', found, 'that member near the beginning');
        return;
      }
    }
  }

  #entry(entry: ReadEntry): void {
    if (this.result !== null || entry.path.replace(/^\.\//, '') !== 'json') {
      entry.resume();
      return;
    }
    if (!isRegular(entry)) {
      this.result = new FileFault('archive-invalid', `a "json" that is a ${entry.type}`, 'a file');
      entry.resume();
    } else if (entry.size > MAX_STATE) {
      const found = `a member "json" of ${entry.size} bytes`;
      this.result = new FileFault('file-too-large', found, `at most ${MAX_STATE}`);
      entry.resume();
    } else {
      this.#collect(entry);
    }
  }

  #collect(entry: ReadEntry): void {
    const chunks: Buffer[] = [];
    entry.on('data', (chunk) => chunks.push(Buffer.from(chunk)));
    entry.on('end', () => {
      const bytes = Buffer.concat(chunks);
      this.result ??=
        bytes.length === entry.size
          ? bytes
          : new FileFault('archive-invalid', 'a member "json" that is cut off', 'all of it');
    });
  }
}

/** An archive that can't be unpacked. */
export function invalid(thrown: unknown): FileFault {
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new FileFault(
    'archive-invalid',
    `an archive that can't be unpacked (${reason})`,
    'a tar, gzipped or plain',
  );
}
