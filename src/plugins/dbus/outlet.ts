/**
 * What goes to one side of a connection. What comes together leaves in one write: what stood together when it came as it
 * is, the rest put together.
 *
 * A long message comes in pieces, and nothing goes between them: the receiver would take it for a part of the message,
 * and a part of the message for one of its own. What is to be sent meanwhile waits.
 */
import { closeAll } from '../../kernel/descriptors.js';
import type { Channel } from '../plugin.js';

export class Outlet {
  readonly #channel: Channel;
  /** What leaves before `#chunk`. */
  #pieces: Buffer[] = [];
  #chunk: Buffer | null = null;
  #start = 0;
  #end = 0;
  /** Bytes still to come of a message that has begun. */
  #rest = 0;
  #waiting: { readonly bytes: Buffer; readonly fds: readonly number[] }[] = [];

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Something waits for a message to be over. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Descriptors that wait with it. */
  get waitingFds(): number {
    return this.#waiting.reduce((sum, { fds }) => sum + fds.length, 0);
  }

  /** A message, or the beginning of one that has `rest` more bytes. Takes the descriptors, which go with the first. */
  pass(chunk: Buffer, start: number, end: number, fds: readonly number[], rest = 0): void {
    if (this.#rest > 0 || fds.length > 0) this.send(chunk.subarray(start, end), fds);
    else this.#append(chunk, start, end);
    this.#rest += rest;
  }

  /** More bytes of the message that has begun. */
  more(chunk: Buffer, start: number, end: number): void {
    this.#append(chunk, start, end);
    this.#rest -= end - start;
    if (this.#rest > 0) return;
    for (const { bytes, fds } of this.#waiting.splice(0)) this.send(bytes, fds);
  }

  /** A whole message. Takes the descriptors. */
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

  /** Once nothing more comes for the moment: what was sent so far leaves. */
  flush(): void {
    this.#setAside();
    const [first] = this.#pieces;
    if (!first) return;
    const bytes = this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#channel.write(bytes);
  }

  /** Sends nothing of what waits, and closes its descriptors. */
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
