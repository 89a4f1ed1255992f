/**
 * A stream of bytes, as a protocol sees it: what HTTP is spoken over, be it a socket or TLS.
 *
 * One owner at a time is told what happens. A stream starts paused, so that nothing is lost before it has one.
 */
export interface ByteStreamOwner {
  /** Bytes `from` to `to`; the buffer is the stream's again when this returns. */
  received(buffer: Buffer, from: number, to: number): void;
  /** All that was written is with the kernel. */
  drained(): void;
  /** The peer will send no more; it may still read. */
  ended(): void;
  /** The peer is gone: what it sent may still be read, nothing will reach it. May be said more than once. */
  hungUp(): void;
  /** Nothing can be read or written any more; the stream is closed. */
  broken(): void;
}

export interface ByteStream {
  owner: ByteStreamOwner | null;
  /** As read from and written to the peer. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Sends what it can and keeps a copy of the rest. False: write no more before `drained`. */
  write(buffer: Buffer, from: number, to: number): boolean;
  resume(): void;
  pause(): void;
  /** Looks at once whether the peer said something; else it is told in the course of things. */
  poke(): void;
  /** No more will be written: the peer reads the end of the stream after what is on its way. */
  end(): void;
  /** What is unsent is dropped. The owner hears nothing more. */
  close(): void;
  /** The descriptor, the caller's from then on; null where there is none to give or something is unsent. */
  release(): number | null;
}
