/**
 * One message on its way: its header read, its body left in its bytes. Whoever drops it closes its descriptors.
 */
import { BodyReader } from './body.js';
import type { Frame, Header } from './header.js';

export class Message {
  readonly header: Header;
  /** Bytes of it that are still to come: it is too long to be kept, and this is its header. 0: it is whole. */
  readonly rest: number;
  /** Its own, in order. */
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

  /** Where it stands: from `start` to `end` of `chunk`. */
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

  /** Takes its bytes out of what was read with them, so that keeping it keeps nothing else. */
  keep(): void {
    this.#chunk = Buffer.from(this.#chunk.subarray(this.#start, this.#end));
    this.#end = this.length;
    this.#start = 0;
  }

  /** Null where the message is not whole. */
  get body(): BodyReader | null {
    if (!this.isWhole) return null;
    const start = this.#end - this.#bodyLength;
    return new BodyReader(this.#chunk.subarray(start, this.#end), this.header.little);
  }
}
