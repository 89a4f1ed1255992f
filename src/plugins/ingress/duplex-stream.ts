/** A Duplex of Node.js as a ByteStream: for the decrypted side of TLS. */
import type { Duplex } from 'node:stream';
import type { ByteStream, ByteStreamOwner } from '../../relay/byte-stream.js';

export class DuplexStream implements ByteStream {
  owner: ByteStreamOwner | null = null;
  bytesIn = 0;
  bytesOut = 0;
  readonly #duplex: Duplex;
  #ended = false;
  #open = true;

  /** Takes the duplex, which is paused until `resume`. */
  constructor(duplex: Duplex) {
    this.#duplex = duplex;
    duplex.pause();
    duplex.on('data', (chunk: Buffer) => {
      this.bytesIn += chunk.length;
      this.owner?.received(chunk, 0, chunk.length);
    });
    duplex.on('drain', () => this.owner?.drained());
    duplex.on('finish', () => this.owner?.drained()); // all that was written before the end is sent
    duplex.on('end', () => this.#end());
    duplex.on('error', () => this.#break());
    duplex.on('close', () => this.#break());
  }

  get hasUnsent(): boolean {
    return this.#duplex.writableLength > 0;
  }

  write(buffer: Buffer, from: number, to: number): boolean {
    if (!this.#open) return true;
    this.bytesOut += to - from;
    return this.#duplex.write(Buffer.from(buffer.subarray(from, to)));
  }

  resume(): void {
    this.#duplex.resume();
  }

  pause(): void {
    this.#duplex.pause();
  }

  poke(): void {}

  end(): void {
    if (this.#open) this.#duplex.end();
  }

  close(): void {
    this.#open = false;
    this.owner = null;
    this.#duplex.destroy();
  }

  #end(): void {
    this.#ended = true;
    this.owner?.ended();
  }

  #break(): void {
    if (!this.#open) return;
    const { owner } = this;
    this.close();
    // After the peer's end of the stream, 'close' is the regular end.
    if (this.#ended) owner?.hungUp();
    else owner?.broken();
  }
}
