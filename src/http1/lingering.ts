/**
 * The end of a client's connection: what it still sends is read and dropped until it has seen our end, for to
 * close a socket with unread bytes in it resets the connection, and the answer would be lost (RFC 9112, 9.6).
 */
import type { ByteStream, ByteStreamOwner } from '../relay/byte-stream.js';
import { deadlines, type Timed } from './deadlines.js';

const LINGER_MS = 2_000;
const MAX_DROPPED = 16 * 1024 * 1024;

export class Lingering implements ByteStreamOwner, Timed {
  deadline = Date.now() + LINGER_MS;
  readonly #stream: ByteStream;
  #dropped = 0;

  /** Takes the stream, with what it still has to send. */
  constructor(stream: ByteStream) {
    this.#stream = stream;
    stream.owner = this;
    stream.end();
    stream.resume();
    deadlines.add(this);
  }

  received(_buffer: Buffer, from: number, to: number): void {
    this.#dropped += to - from;
    if (this.#dropped > MAX_DROPPED) this.#close();
  }

  drained(): void {}

  ended(): void {
    this.#close();
  }

  hungUp(): void {
    this.#close();
  }

  broken(): void {
    this.#close();
  }

  expired(): void {
    this.#close();
  }

  #close(): void {
    deadlines.remove(this);
    this.#stream.close();
  }
}
