/** Reads the body of one message after the other, whichever way its end is marked (RFC 9112, 6). */
import { type BodySink, ChunkReader, NO_TRAILERS } from './chunk-reader.js';
import type { Refusal } from './refusal.js';

/** How a body ends: there is none; after as many bytes as were said; with the last chunk; with the connection. */
export const NO_BODY = 0;
export const COUNTED = 1;
export const CHUNKED = 2;
export const TO_THE_END = 3;
export type Body = typeof NO_BODY | typeof COUNTED | typeof CHUNKED | typeof TO_THE_END;

export class BodyReader {
  kind: Body = NO_BODY;
  /** Bytes still to come of a COUNTED body. */
  left = 0;
  #chunks: ChunkReader | null = null;
  #done = true;

  /** For the next message. `length`: bytes, where it is COUNTED. */
  begin(kind: Body, length: number): void {
    this.kind = kind;
    this.left = kind === COUNTED ? length : 0;
    this.#done = kind === NO_BODY;
    if (kind !== CHUNKED) return;
    this.#chunks ??= new ChunkReader();
    this.#chunks.begin();
  }

  get done(): boolean {
    return this.#done;
  }

  /** What is wrong with the chunks. */
  get fault(): Refusal | null {
    return this.kind === CHUNKED && this.#chunks ? this.#chunks.fault : null;
  }

  /** Lines behind the last chunk, each with its CRLF; there once the body is done. */
  get trailers(): Buffer {
    return this.kind === CHUNKED && this.#chunks ? this.#chunks.trailers : NO_TRAILERS;
  }

  /** Passes what belongs to the body to `sink`. Returns the position behind it. */
  read(buffer: Buffer, from: number, to: number, sink: BodySink): number {
    if (this.kind === CHUNKED && this.#chunks) {
      const at = this.#chunks.read(buffer, from, to, sink);
      this.#done = this.#chunks.done;
      return at;
    }
    const end = this.kind === COUNTED ? Math.min(to, from + this.left) : to;
    if (end > from) sink.data(buffer, from, end);
    if (this.kind === COUNTED) this.moved(end - from);
    return end;
  }

  /** So many bytes of a COUNTED body were moved some other way. */
  moved(bytes: number): void {
    this.left -= bytes;
    if (this.left === 0) this.#done = true;
  }

  /** The connection ended. True where the body is complete by that. */
  end(): boolean {
    if (this.kind === TO_THE_END) this.#done = true;
    return this.#done;
  }
}
