/**
 * From the bytes of one direction of a connection to what they say. Pure, and for bytes from anywhere: what can't be
 * understood is shown as bytes, and the next read is tried anew. A decoder keeps SNAP bytes at most.
 */
import type { Header } from '../plugins/dbus/header.js';

/** Bytes of one message or head that are kept, and shown. */
export const SNAP = 256 * 1024;

/** `bytes`: as they came; of a message of more than SNAP bytes, its begin. */
export type Piece = { readonly bytes: Buffer } & (
  | { readonly kind: 'bytes' }
  /** Of a head, and of what D-Bus says before its messages; without the ends of the lines. */
  | { readonly kind: 'lines'; readonly lines: readonly string[] }
  /** `length`: of all of it. */
  | { readonly kind: 'message'; readonly header: Header; readonly length: number }
);

export interface Decoder {
  feed(bytes: Buffer): Piece[];
  /** What is left of what is not whole: the next bytes are not those that come next, or there are none. */
  rest(): Piece[];
}

/** A decoder that waits for more keeps what it was fed, and goes on with all of it. */
export abstract class Keeping implements Decoder {
  #kept: Buffer | null = null;

  feed(bytes: Buffer): Piece[] {
    const all = this.#kept ? Buffer.concat([this.#kept, bytes]) : bytes;
    const pieces: Piece[] = [];
    this.#kept = null;
    for (let at = 0; at < all.length; ) {
      const next = this.step(all, at, pieces);
      if (next === null) {
        this.#kept = Buffer.from(all.subarray(at));
        break;
      }
      at = next;
    }
    return pieces;
  }

  rest(): Piece[] {
    const bytes = this.#kept;
    this.#kept = null;
    this.forget();
    return bytes ? [{ kind: 'bytes', bytes }] : [];
  }

  /** Adds what begins at `at`, and returns the position behind it. Null: it is not whole. */
  protected abstract step(all: Buffer, at: number, pieces: Piece[]): number | null;

  /** Nothing is known any more of what comes next. */
  protected abstract forget(): void;
}

/** Nothing is understood. */
export const PLAIN: Decoder = {
  feed: (bytes) => [{ kind: 'bytes', bytes }],
  rest: () => [],
};
