/**
 * One message: its header is read, its body stays bytes. Code that drops a message closes its descriptors.
 */
import { MessageBody } from './body.js';
import type { Frame, Header } from './header.js';

export class Message {
  readonly header: Header;
  /** Bytes that are still to come: the message is too long to be kept, and only its header is here. 0: it is whole. */
  readonly rest: number;
  /** The descriptors that came with it, in order. */
  readonly fds: readonly number[];
  readonly #bodyLength: number;
  #chunk: Buffer;
  #start: number;
  #end: number;

  constructor(
    header: Header,
    frame: Frame,
    place: { readonly chunk: Buffer; readonly start: number; readonly end: number },
    fds: readonly number[],
  ) {
    this.header = header;
    this.#chunk = place.chunk;
    this.#start = place.start;
    this.#end = place.end;
    this.fds = fds;
    this.rest = frame.total - (place.end - place.start);
    this.#bodyLength = frame.total - frame.header;
  }

  /** The message is from `start` to `end` of `chunk`. */
  get chunk(): Buffer {
    return this.#chunk;
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  get isWhole(): boolean {
    return this.rest === 0;
  }

  /** Copies its bytes out of the chunk, so that a message that is held does not keep all that was read with it. */
  keep(): void {
    this.#chunk = Buffer.from(this.#chunk.subarray(this.#start, this.#end));
    this.#end = this.length;
    this.#start = 0;
  }

  /** Null: the message is not whole. */
  get body(): MessageBody | null {
    if (!this.isWhole) return null;
    const start = this.#end - this.#bodyLength;
    return new MessageBody(this.#chunk.subarray(start, this.#end), this.header.little);
  }
}
