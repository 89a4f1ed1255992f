/**
 * Makes messages of bytes that come in pieces of any size. Memory is bounded: a message of up to `longest` bytes is put
 * together; of a longer one the header is delivered first, and then the pieces of its body as they come.
 *
 * Descriptors come with the first byte of their message or before it. They wait in order, and each message takes as
 * many as its header says.
 *
 *     open ⇄ stopped (`stop`, `go`); both ──close──▸ closed
 *
 * While it is open it is between two messages, or within one: `#kept` has the beginning of a message that is put
 * together, `#rest` counts the bytes still to come of one that is not.
 */
import { closeAll } from '../../kernel/descriptors.js';
import { FIXED_LENGTH, type Frame, readFrame, readHeader } from './header.js';
import { Message } from './message.js';

export interface Receiver {
  /** Takes the message's descriptors. Returns whether its rest is wanted, for a message that is not whole. */
  onMessage(message: Message): boolean;
  /** A piece of the rest that is wanted, from `start` to `end` of `chunk`. */
  onMore(chunk: Buffer, start: number, end: number): void;
}

export interface ReaderOptions {
  /** Bytes of the longest message that is put together. */
  readonly longest: number;
  /** Whether descriptors may come. */
  readonly fds: boolean;
}

/** SCM_MAX_FD of Linux: no more can be sent with one byte. */
const MAX_FDS = 253;
const NO_FDS: readonly number[] = [];

/** The beginning of a message that is put together. */
interface Kept {
  readonly buffer: Buffer;
  filled: number;
  /** Null: its length is not known yet, and the buffer is for its first 16 bytes. */
  readonly frame: Frame | null;
}

export class MessageReader {
  readonly #receiver: Receiver;
  readonly #longest: number;
  readonly #maxFds: number;
  readonly #fds: number[] = [];
  #kept: Kept | null = null;
  /** Bytes still to come of a message that is not whole. */
  #rest = 0;
  #isRestWanted = false;
  #state: 'open' | 'stopped' | 'closed' = 'open';
  /** Bytes that came while it was stopped. */
  #left: Buffer | null = null;

  constructor(receiver: Receiver, { longest, fds }: ReaderOptions) {
    this.#receiver = receiver;
    this.#longest = longest;
    this.#maxFds = fds ? MAX_FDS : 0;
  }

  /** Descriptors that wait for their message. */
  get waitingFds(): number {
    return this.#fds.length;
  }

  /** Takes the descriptors. Returns what is wrong with the bytes, in one sentence; null: nothing. */
  feed(chunk: Buffer, fds: readonly number[]): string | null {
    if (fds.length > 0) this.#fds.push(...fds);
    let at = 0;
    while (at < chunk.length && this.#state === 'open') {
      const next = this.#step(chunk, at);
      if (typeof next === 'string') return next;
      at = next;
    }
    if (at < chunk.length && this.isStopped) this.#leave(chunk.subarray(at));
    if (this.#fds.length > this.#maxFds) return 'Descriptors came that no message had.';
    return null;
  }

  get isStopped(): boolean {
    return this.#state === 'stopped';
  }

  /** Delivers nothing more until `go`. May be called by `onMessage`. */
  stop(): void {
    if (this.#state === 'open') this.#state = 'stopped';
  }

  /** Goes on with the bytes that are left, as `feed` does. */
  go(): string | null {
    const left = this.#left;
    this.#left = null;
    if (this.isStopped) this.#state = 'open';
    return left ? this.feed(left, []) : null;
  }

  /** Delivers nothing more. Closes the descriptors that wait. */
  close(): void {
    this.#state = 'closed';
    this.#kept = this.#left = null;
    closeAll(this.#fds.splice(0));
  }

  #leave(chunk: Buffer): void {
    this.#left = this.#left ? Buffer.concat([this.#left, chunk]) : chunk;
  }

  /** Handles what begins at `at`. Returns the position behind it, or what is wrong. */
  #step(chunk: Buffer, at: number): number | string {
    if (this.#rest > 0) return this.#stream(chunk, at);
    if (this.#kept) return this.#fill(this.#kept, chunk, at);
    const available = chunk.length - at;
    if (available < FIXED_LENGTH) return this.#keep(chunk, at, FIXED_LENGTH, null);
    const frame = readFrame(chunk, at);
    if (typeof frame === 'string') return frame;
    const wanted = this.#wanted(frame);
    if (typeof wanted === 'string') return wanted;
    if (available < wanted) return this.#keep(chunk, at, wanted, frame);
    return this.#deliver(chunk, at, at + wanted, frame) ?? at + wanted;
  }

  #stream(chunk: Buffer, at: number): number {
    const end = Math.min(at + this.#rest, chunk.length);
    this.#rest -= end - at;
    if (this.#isRestWanted) this.#receiver.onMore(chunk, at, end);
    return end;
  }

  #wanted({ header, total }: Frame): number | string {
    if (total <= this.#longest) return total;
    return header <= this.#longest ? header : `A header was longer than ${this.#longest} bytes.`;
  }

  #keep(chunk: Buffer, at: number, wanted: number, frame: Frame | null): number {
    const buffer = Buffer.allocUnsafe(wanted);
    this.#kept = { buffer, filled: chunk.copy(buffer, 0, at), frame };
    return chunk.length;
  }

  #fill(kept: Kept, chunk: Buffer, at: number): number | string {
    const copied = chunk.copy(kept.buffer, kept.filled, at);
    kept.filled += copied;
    if (kept.filled < kept.buffer.length) return chunk.length;
    const { buffer } = kept;
    this.#kept = null;
    if (kept.frame) return this.#deliver(buffer, 0, buffer.length, kept.frame) ?? at + copied;
    const frame = readFrame(buffer, 0);
    if (typeof frame === 'string') return frame;
    const wanted = this.#wanted(frame);
    if (typeof wanted === 'string') return wanted;
    this.#keep(buffer, 0, wanted, frame);
    return at + copied;
  }

  /** Null, or what is wrong with the message. */
  #deliver(chunk: Buffer, start: number, end: number, frame: Frame): string | null {
    const header = readHeader(chunk, start, frame);
    if (typeof header === 'string') return header;
    if (header.fds > this.#fds.length) return 'A message came with fewer descriptors than it said.';
    const fds = header.fds > 0 ? this.#fds.splice(0, header.fds) : NO_FDS;
    const message = new Message(header, frame, { chunk, start, end }, fds);
    this.#rest = message.rest;
    this.#isRestWanted = this.#receiver.onMessage(message);
    return null;
  }
}
