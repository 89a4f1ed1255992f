/** The body of one message, however its end is told, as it comes in. */
import { type BodySink, ChunkReader, NO_TRAILERS } from './chunk-reader.js';
import type { Refusal } from './refusal.js';

/** How a body ends. */
export const NO_BODY = 0;
export const COUNTED = 1;
export const CHUNKED = 2;
/** With the connection. */
export const TO_THE_END = 3;
export type Body = typeof NO_BODY | typeof COUNTED | typeof CHUNKED | typeof TO_THE_END;

export class BodyReader {
  kind: Body = NO_BODY;
  /** Bytes that are still to come, where they are counted. */
  left = 0;
  #chunks: ChunkReader | null = null;
  #done = true;

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

  get fault(): Refusal | null {
    return this.kind === CHUNKED && this.#chunks ? this.#chunks.fault : null;
  }

  get trailers(): Buffer {
    return this.kind === CHUNKED && this.#chunks ? this.#chunks.trailers : NO_TRAILERS;
  }

  /** Returns behind what belongs to the body. */
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

  /** So many bytes of a counted body went another way. */
  moved(bytes: number): void {
    this.left -= bytes;
    if (this.left === 0) this.#done = true;
  }

  /** The connection ended. True where that is how the body ends. */
  end(): boolean {
    if (this.kind === TO_THE_END) this.#done = true;
    return this.#done;
  }
}
