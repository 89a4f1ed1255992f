/**
 * A stream of bytes, as a protocol sees it: what HTTP is spoken over, be it a socket or TLS.
 *
 * One owner at a time is told what happens. A stream starts paused, so that nothing is lost before it has one.
 */
import type { SocketAddress } from '../kernel/ip-address.js';

/** Told of bytes that were read (`in`) or are to be written (`out`). They are the stream's again when it returns. */
export type OnPassed = (way: 'in' | 'out', bytes: Buffer, fds: number) => void;

export interface ByteStreamOwner {
  /** Bytes `from` to `to`; the buffer is the stream's again when this returns. */
  received(buffer: Buffer, from: number, to: number): void;
  /** All that was written is with the kernel. */
  drained(): void;
  /** The peer will send no more; it may still read. */
  ended(): void;
  /**
   * The peer is gone: nothing will reach it. A stream that is read says so behind all that the peer sent, a paused one
   * at once, and what it sent is still there to be read. May be said more than once.
   */
  hungUp(): void;
  /** Nothing can be read or written any more; the stream is closed. */
  broken(): void;
}

export interface ByteStream {
  owner: ByteStreamOwner | null;
  /** As read from and written to the peer. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Whether there is something that was written and is not with the kernel; `drained` follows it. */
  readonly hasUnsent: boolean;
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
}

/** A stream that is a socket, and can be the native relay's too. */
export interface SocketStream extends ByteStream {
  /** For who taps it: then all of it has to pass here, and nothing is handed over. */
  readonly onPassed: OnPassed | null;
  /** The stream's own, to be lent to a transfer while it is paused; -1: closed. */
  readonly fd: number;
  /** The other end, where it is a TCP connection. */
  readonly remote: SocketAddress | undefined;
  /** What is unsent, the caller's to send from now on. */
  takeUnsent(): Buffer;
  /** Gives the descriptor back, the caller's from then on (-1: it is closed). */
  release(): number;
}

/** Whether the native relay can have it. */
export function isSocket(stream: ByteStream): stream is SocketStream {
  return 'fd' in stream;
}
