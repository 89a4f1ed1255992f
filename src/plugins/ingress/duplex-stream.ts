/** A Duplex of Node's as a ByteStream: what TLS has decrypted. */
import type { Duplex } from 'node:stream';
import type { ByteStream, ByteStreamOwner } from '../../relay/byte-stream.js';

export class DuplexStream implements ByteStream {
  owner: ByteStreamOwner | null = null;
  bytesIn = 0;
  bytesOut = 0;
  readonly #duplex: Duplex;
  #ended = false;
  #open = true;

  /** Takes it; it is paused until `resume`. */
  constructor(duplex: Duplex) {
    this.#duplex = duplex;
    duplex.pause();
    duplex.on('data', (chunk: Buffer) => {
      this.bytesIn += chunk.length;
      this.owner?.received(chunk, 0, chunk.length);
    });
    duplex.on('drain', () => this.owner?.drained());
    duplex.on('finish', () => this.owner?.drained()); // of what was written before the end
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
    // Closed after its end, and nothing more to write: that is no accident.
    if (this.#ended) owner?.hungUp();
    else owner?.broken();
  }
}
