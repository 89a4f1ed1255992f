/**
 * The end of a client's connection: what it still sends is read and dropped until it has seen our end, for to
 * close a socket with unread bytes in it resets the connection, and the answer would be lost (RFC 9112, 9.6). What
 * we still owe it is sent first, as long as some of it goes out within the time that a connection may be idle.
 *
 * Those that linger count for no limit of connections, so there are no more of them than a few hundred.
 */
import type { ByteStream, ByteStreamOwner } from '../relay/byte-stream.js';
import { deadlines, type Timed } from './deadlines.js';

const LINGER_MS = 2_000;
const MAX_DROPPED = 16 * 1024 * 1024;
/** Of all addresses and sockets; one more ends the eldest. */
const MOST = 512;

/** The eldest first. */
const all = new Set<Lingering>();

export class Lingering implements ByteStreamOwner, Timed {
  deadline = Number.POSITIVE_INFINITY;
  readonly #stream: ByteStream;
  readonly #idleMs: number;
  #dropped = 0;
  #ended = false;
  #sent: number;

  /** Takes the stream, with what it still has to send. */
  constructor(stream: ByteStream, idleMs: number) {
    this.#stream = stream;
    this.#idleMs = idleMs;
    this.#sent = stream.bytesOut;
    stream.owner = this;
    stream.end();
    stream.resume();
    deadlines.add(this);
    deadlines.within(this, stream.hasUnsent ? idleMs : LINGER_MS);
    all.add(this);
    const [eldest] = all;
    if (eldest && all.size > MOST) eldest.#close();
  }

  received(_buffer: Buffer, from: number, to: number): void {
    this.#dropped += to - from;
    if (this.#dropped > MAX_DROPPED) this.#close();
  }

  drained(): void {
    if (this.#ended) this.#close();
    else deadlines.within(this, LINGER_MS);
  }

  /** It may read on. */
  ended(): void {
    this.#ended = true;
    if (!this.#stream.hasUnsent) this.#close();
  }

  hungUp(): void {
    this.#close();
  }

  broken(): void {
    this.#close();
  }

  expired(): void {
    const { hasUnsent, bytesOut } = this.#stream;
    if (!hasUnsent || bytesOut === this.#sent) {
      this.#close();
      return;
    }
    this.#sent = bytesOut;
    deadlines.within(this, this.#idleMs);
  }

  #close(): void {
    all.delete(this);
    deadlines.remove(this);
    this.#stream.close();
  }
}
