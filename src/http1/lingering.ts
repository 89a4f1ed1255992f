/**
 * Connections of clients that are to end: what such a client still sends is read and dropped until it has seen our end
 * of the stream. Closing a socket with unread bytes in it resets the connection, and the answer would be lost with it
 * (RFC 9112, 9.6). What the client is still owed is sent first, as long as some of it goes out within the time that a
 * connection may be idle.
 *
 * These connections count for no limit of connections, so there may be a few hundred of them in all. One `Lingering` is
 * made for all servers of the process, where the plugins are made.
 */
import type { ByteStream, ByteStreamOwner } from '../relay/byte-stream.js';
import { deadlines, type Timed } from './deadlines.js';

/** From our end of the stream to the client's. */
const LINGER_MS = 2_000;
/** Bytes from one client. */
const MAX_DROPPED = 16 * 1024 * 1024;
/** Streams; one more, and the eldest is closed. */
const MAX_STREAMS = 512;

export class Lingering {
  /** The eldest first. */
  readonly #streams = new Set<LingeringStream>();

  /** Takes the stream, with what is still to be sent on it, and closes it in the end. `idleMs`: see Limits. */
  add(stream: ByteStream, idleMs: number): void {
    this.#streams.add(new LingeringStream(stream, idleMs, this.#streams));
    const [eldest] = this.#streams;
    if (eldest && this.#streams.size > MAX_STREAMS) eldest.close();
  }
}

class LingeringStream implements ByteStreamOwner, Timed {
  deadline = Number.POSITIVE_INFINITY;
  readonly #stream: ByteStream;
  readonly #idleMs: number;
  readonly #all: Set<LingeringStream>;
  #dropped = 0;
  #ended = false;
  /** Bytes that had been sent when that was looked at last. */
  #sent: number;

  constructor(stream: ByteStream, idleMs: number, all: Set<LingeringStream>) {
    this.#stream = stream;
    this.#idleMs = idleMs;
    this.#all = all;
    this.#sent = stream.bytesOut;
    stream.owner = this;
    stream.end();
    stream.resume();
    deadlines.add(this);
    deadlines.within(this, stream.hasUnsent ? idleMs : LINGER_MS);
  }

  received(_buffer: Buffer, from: number, to: number): void {
    this.#dropped += to - from;
    if (this.#dropped > MAX_DROPPED) this.close();
  }

  drained(): void {
    if (this.#ended) this.close();
    else deadlines.within(this, LINGER_MS);
  }

  /** The client may still read what it is owed. */
  ended(): void {
    this.#ended = true;
    if (!this.#stream.hasUnsent) this.close();
  }

  hungUp(): void {
    this.close();
  }

  broken(): void {
    this.close();
  }

  expired(): void {
    const { hasUnsent, bytesOut } = this.#stream;
    if (!hasUnsent || bytesOut === this.#sent) {
      this.close();
      return;
    }
    this.#sent = bytesOut;
    deadlines.within(this, this.#idleMs);
  }

  close(): void {
    this.#all.delete(this);
    deadlines.remove(this);
    this.#stream.close();
  }
}
