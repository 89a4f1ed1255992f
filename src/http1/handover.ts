/**
 * A long run of bytes that the native relay moves from one stream to the other: the rest of a body whose length is
 * known. Meanwhile both streams stay whose they are, but the source is not read and the sink not written here.
 */
import { type ByteStream, isSocket, type SocketStream } from '../relay/byte-stream.js';
import type { TransferOptions, TransferResult } from '../relay/transfer.js';

/** Less is moved sooner than handed over. */
export const LONG = 512 * 1024;

export type Transfer = (
  source: SocketStream,
  sink: SocketStream,
  options: TransferOptions,
) => Promise<TransferResult>;

export class Handover {
  #current: AbortController | null = null;

  get active(): boolean {
    return this.#current !== null;
  }

  /** False: it can't be done, or not now. `done` is not called after `cancel`. */
  begin(
    transfer: Transfer,
    source: ByteStream,
    sink: ByteStream,
    options: Omit<TransferOptions, 'signal'>,
    done: (result: TransferResult) => void,
  ): boolean {
    if (this.#current || options.bytes < LONG) return false;
    if (!isSocket(source) || !isSocket(sink) || sink.hasUnsent) return false;
    const current = new AbortController();
    this.#current = current;
    source.pause();
    void transfer(source, sink, { ...options, signal: current.signal }).then((result) => {
      if (this.#current !== current) return;
      this.#current = null;
      done(result);
    });
    return true;
  }

  cancel(): void {
    const current = this.#current;
    this.#current = null;
    current?.abort();
  }
}
