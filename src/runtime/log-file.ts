/**
 * A file that output is appended to. When it has reached its limit it is renamed to FILE.1, in place of an earlier one,
 * and a new file is begun, so that a log takes at most twice the limit.
 *
 * Where the disk is full or gone, output is lost, and whoever writes it is not held up.
 */
import { mkdirSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { SerialQueue } from '../kernel/serial-queue.js';

const LIMIT = 10 * 1024 * 1024;

export class LogFile {
  #path: string;
  readonly #limit: number;
  #file: FileHandle | null = null;
  #size = 0;
  readonly #queue = new SerialQueue();

  /** Makes the folder; throws where it can't. `limit`: bytes. */
  constructor(path: string, limit = LIMIT) {
    this.#path = path;
    this.#limit = limit;
    mkdirSync(dirname(path), { recursive: true });
  }

  /** What is written goes there. */
  get path(): string {
    return this.#path;
  }

  /** Copies until the stream ends, as fast as the disk is. Chunks of several streams may alternate in the file. */
  async copy(stream: Readable): Promise<void> {
    try {
      for await (const chunk of stream) await this.write(chunk as Buffer);
    } catch {
      // The stream was cut off: what it said so far is in the file.
    }
  }

  write(data: Buffer | string): Promise<void> {
    const bytes = Buffer.from(data);
    return this.#queue.run(() => this.#append(bytes).catch(() => this.#forget()));
  }

  /** What is written from now on goes to that file. Its folder is made; where it can't be, output is lost. */
  moveTo(path: string): Promise<void> {
    return this.#queue.run(async () => {
      await this.#forget();
      this.#path = path;
      await mkdir(dirname(path), { recursive: true }).catch(() => undefined);
    });
  }

  close(): Promise<void> {
    return this.#queue.run(() => this.#forget());
  }

  async #append(bytes: Buffer): Promise<void> {
    if (this.#file && this.#size > 0 && this.#size + bytes.length > this.#limit) {
      await this.#forget();
      await rename(this.#path, `${this.#path}.1`);
    }
    if (!this.#file) {
      this.#file = await open(this.#path, 'a', 0o640);
      this.#size = (await this.#file.stat()).size;
    }
    await this.#file.appendFile(bytes);
    this.#size += bytes.length;
  }

  async #forget(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close().catch(() => undefined);
  }
}
