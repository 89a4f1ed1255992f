/**
 * What is written to one stream: gathered while a turn lasts, and sent with one system call at its end.
 *
 * All outlets share one stage, for one turn belongs to one stream: when another outlet begins to gather, what is
 * on the stage goes out first. Long runs of data go out without being gathered.
 */
import type { ByteStream } from '../relay/byte-stream.js';
import { ByteWriter } from './byte-writer.js';

const STAGE = 64 * 1024;
/** Data that is worth a system call of its own rather than a copy. */
const LONG = 16 * 1024;
const CRLF = Buffer.from('\r\n');

const stage = new ByteWriter(STAGE);
let gathering: Outlet | null = null;

export class Outlet {
  /** Data is written as chunks. */
  chunked = false;
  readonly #stream: ByteStream;
  #blocked = false;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /** Where a head is put together. */
  stage(): ByteWriter {
    if (gathering !== this) {
      gathering?.flush();
      gathering = this;
      stage.reset();
    }
    return stage;
  }

  data(buffer: Buffer, from: number, to: number): void {
    if (from === to) return; // as a chunk it would be the last
    const writer = this.stage();
    const long = to - from >= LONG || writer.length + to - from > STAGE;
    if (this.chunked) writer.text(`${(to - from).toString(16)}\r\n`);
    if (long) {
      this.#send();
      if (!this.#stream.write(buffer, from, to)) this.#blocked = true;
    } else {
      writer.copy(buffer, from, to);
    }
    if (this.chunked) writer.bytes(CRLF);
  }

  /** The end of the body: of a chunked one, its last chunk and trailers. */
  finish(trailers: Buffer): void {
    if (!this.chunked) return;
    this.chunked = false;
    const writer = this.stage();
    writer.text('0\r\n');
    writer.bytes(trailers);
    writer.bytes(CRLF);
  }

  /** False: write no more before the stream has drained. */
  flush(): boolean {
    if (gathering === this) {
      this.#send();
      gathering = null;
    }
    return !this.#blocked;
  }

  drained(): void {
    this.#blocked = false;
  }

  #send(): void {
    if (stage.length === 0) return;
    if (!this.#stream.write(stage.buffer, 0, stage.length)) this.#blocked = true;
    stage.reset();
  }
}
