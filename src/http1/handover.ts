/**
 * A long run of bytes that the native relay moves from one stream to another: the rest of a body whose length is
 * known. Both streams keep their owners meanwhile, but the source is not read and the sink is not written by them.
 */
import { type ByteStream, isSocket, type SocketStream } from '../relay/byte-stream.js';
import type { TransferOptions, TransferResult } from '../relay/transfer.js';

/** Bytes; fewer are moved in less time than it takes to hand them over. */
export const WORTH_HANDING_OVER = 512 * 1024;

export type Transfer = (
  source: SocketStream,
  sink: SocketStream,
  options: TransferOptions,
) => Promise<TransferResult>;

export class Handover {
  #current: AbortController | null = null;

  /** Bytes are being moved. */
  get active(): boolean {
    return this.#current !== null;
  }

  /**
   * Begins to move `options.bytes` bytes. `done` is called when that has ended, but not after `cancel`. False: one of
   * the streams is no socket or is tapped, the sink has something unsent, or there are too few bytes; `done` is not called.
   */
  begin(
    transfer: Transfer,
    source: ByteStream,
    sink: ByteStream,
    options: Omit<TransferOptions, 'signal'>,
    done: (result: TransferResult) => void,
  ): boolean {
    if (this.#current || options.bytes < WORTH_HANDING_OVER) return false;
    if (!isSocket(source) || !isSocket(sink) || sink.hasUnsent) return false;
    if (source.onPassed || sink.onPassed) return false;
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

  /** The relay moves no more. */
  cancel(): void {
    const current = this.#current;
    this.#current = null;
    current?.abort();
  }
}
