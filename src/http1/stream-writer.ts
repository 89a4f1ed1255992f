/**
 * Writes messages to one stream: gathers what is written during one turn of the event loop, and sends it with one
 * system call when the turn ends. Large pieces of data are sent at once, without being copied.
 *
 * All writers share one staging buffer, since only one of them gathers at a time: when another one begins to, what is
 * staged is sent first.
 */
import type { ByteStream } from '../relay/byte-stream.js';
import { ByteWriter } from './byte-writer.js';

/** Bytes that are gathered before they are sent. */
const STAGE = 64 * 1024;
/** As many bytes of data are rather sent by themselves than copied. */
const LARGE = 16 * 1024;
const CRLF = Buffer.from('\r\n');

/** Shared for speed: it is empty whenever no turn is under way. */
const stage = new ByteWriter(STAGE);
let gathering: StreamWriter | null = null;

export class StreamWriter {
  /** Data is written in the chunked coding (RFC 9112, 7.1). */
  chunked = false;
  readonly #stream: ByteStream;
  #blocked = false;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /** Where a head is put together; valid until `flush`, or until another writer gathers. */
  stage(): ByteWriter {
    if (gathering !== this) {
      gathering?.flush();
      gathering = this;
      stage.reset();
    }
    return stage;
  }

  /** A part of the body. The buffer is the caller's again when this returns. */
  data(buffer: Buffer, from: number, to: number): void {
    if (from === to) return; // an empty chunk would be the last one
    const writer = this.stage();
    const large = to - from >= LARGE || writer.length + to - from > STAGE;
    if (this.chunked) writer.text(`${(to - from).toString(16)}\r\n`);
    if (large) {
      this.#send();
      if (!this.#stream.write(buffer, from, to)) this.#blocked = true;
    } else {
      writer.copy(buffer, from, to);
    }
    if (this.chunked) writer.bytes(CRLF);
  }

  /** The end of the body: of a chunked one, the last chunk and the trailers (lines, each with its CRLF). */
  finish(trailers: Buffer): void {
    if (!this.chunked) return;
    this.chunked = false;
    const writer = this.stage();
    writer.text('0\r\n');
    writer.bytes(trailers);
    writer.bytes(CRLF);
  }

  /** Sends what was gathered. False: write no more before the stream has drained. */
  flush(): boolean {
    if (gathering === this) {
      this.#send();
      gathering = null;
    }
    return !this.#blocked;
  }

  /** The stream's `drained`. */
  drained(): void {
    this.#blocked = false;
  }

  #send(): void {
    if (stage.length === 0) return;
    if (!this.#stream.write(stage.buffer, 0, stage.length)) this.#blocked = true;
    stage.reset();
  }
}
