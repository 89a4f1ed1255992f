/** What of a request's body came before there was a connection to send it on: one read of the client, at most. */
import type { Outlet } from './outlet.js';

export class EarlyBody {
  #pieces: Buffer[] = [];
  #trailers: Buffer | null = null;

  add(buffer: Buffer, from: number, to: number): void {
    this.#pieces.push(Buffer.from(buffer.subarray(from, to)));
  }

  finish(trailers: Buffer): void {
    this.#trailers = trailers;
  }

  /** Writes it all, once. True where that was the whole body. */
  writeTo(outlet: Outlet): boolean {
    for (const piece of this.#pieces) outlet.data(piece, 0, piece.length);
    const trailers = this.#trailers;
    if (trailers) outlet.finish(trailers);
    this.clear();
    return trailers !== null;
  }

  clear(): void {
    this.#pieces = [];
    this.#trailers = null;
  }
}
