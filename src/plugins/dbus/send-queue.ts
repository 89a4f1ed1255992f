/**
 * What is to be sent to one side of a connection. It is gathered and leaves in one write (`flush`): messages that were
 * read together and all pass leave as the piece of the buffer that they are, without being copied.
 *
 * A long message comes in pieces. Nothing may be sent between them, since it would be taken for a part of that message;
 * our own messages wait meanwhile.
 */
import { closeAll } from '../../kernel/descriptors.js';
import type { Channel } from '../plugin.js';

export class SendQueue {
  readonly #channel: Channel;
  /** What was gathered before the run in `#chunk`. */
  #pieces: Buffer[] = [];
  /** The run of bytes that may become longer: from `#start` to `#end` of it. */
  #chunk: Buffer | null = null;
  #start = 0;
  #end = 0;
  /** Bytes still to come of a long message. */
  #rest = 0;
  /** Messages that are sent after the long one. */
  #waiting: { readonly bytes: Buffer; readonly fds: readonly number[] }[] = [];

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** A message waits for the end of a long one. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Descriptors of messages that wait. */
  get waitingFds(): number {
    return this.#waiting.reduce((sum, { fds }) => sum + fds.length, 0);
  }

  /** A message that came, or the beginning of one with `rest` more bytes. Takes the descriptors. */
  pass(chunk: Buffer, start: number, end: number, fds: readonly number[], rest = 0): void {
    if (this.#rest > 0 || fds.length > 0) this.send(chunk.subarray(start, end), fds);
    else this.#append(chunk, start, end);
    this.#rest += rest;
  }

  /** More bytes of the long message. */
  more(chunk: Buffer, start: number, end: number): void {
    this.#append(chunk, start, end);
    this.#rest -= end - start;
    if (this.#rest > 0) return;
    for (const { bytes, fds } of this.#waiting.splice(0)) this.send(bytes, fds);
  }

  /** A whole message of our own. Takes the descriptors. */
  send(bytes: Buffer, fds: readonly number[] = []): void {
    if (this.#rest > 0) {
      this.#waiting.push({ bytes, fds });
      return;
    }
    if (fds.length === 0) {
      this.#setAside();
      this.#pieces.push(bytes);
      return;
    }
    this.flush();
    this.#channel.write(bytes, fds);
  }

  /** Writes what was gathered. */
  flush(): void {
    this.#setAside();
    const [first] = this.#pieces;
    if (!first) return;
    const bytes = this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#channel.write(bytes);
  }

  /** Drops the messages that wait, and closes their descriptors. */
  close(): void {
    for (const { fds } of this.#waiting.splice(0)) closeAll(fds);
  }

  #append(chunk: Buffer, start: number, end: number): void {
    if (this.#chunk !== chunk || this.#end !== start) {
      this.#setAside();
      this.#chunk = chunk;
      this.#start = start;
    }
    this.#end = end;
  }

  #setAside(): void {
    const chunk = this.#chunk;
    if (!chunk) return;
    this.#chunk = null;
    const isAll = this.#start === 0 && this.#end === chunk.length;
    this.#pieces.push(isAll ? chunk : chunk.subarray(this.#start, this.#end));
  }
}
