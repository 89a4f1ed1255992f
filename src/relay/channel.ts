/**
 * Channel: a unix socket in JavaScript's hands that reads and writes bytes *with* descriptors.
 *
 * A descriptor that arrives is the receiver's to close; one that is written is taken, and closed once it is
 * sent or the channel closes. What can't be sent yet is kept in order, and `write` says so by `false`:
 * wait for `flushed` before writing more. What is written to a side that is gone is dropped, and says nothing of the
 * end: that comes behind all that the side sent, by reading. Nothing but `onClosed` is called back after `close` or
 * `release`.
 */
import { getSystemErrorName } from 'node:util';
import { closeAll } from '../kernel/descriptors.js';
import type { SocketAddress } from '../kernel/ip-address.js';
import type { OnPassed } from './byte-stream.js';
import { type Closing, closeShared, closeSocket } from './closing.js';
import { type NativeChannel, native } from './native.js';
import { EAGAIN, isTransient, tryLater } from './transient.js';

const ETIMEDOUT = 110;
const EINPROGRESS = 115;
/** EPIPE, ECONNRESET: the other side is gone, or reads no more. What it sent before is another matter. */
const GONE = [32, 104];
const ETOOMANYREFS = 109;
/** Descriptors that may be on their way, unread: they count against a limit that all connections share. */
const FDS_AHEAD = 64;

interface Unsent {
  data: Buffer;
  fds: readonly number[];
}

export class Channel {
  /** Bytes and the descriptors that came with them (seqpacket: one record). */
  onData: ((data: Buffer, fds: number[]) => void) | null = null;
  /**
   * Bytes whose descriptors did not all fit into our table; those that did are the receiver's. Where nobody
   * listens, the channel ends: no one may go on as if they had come.
   */
  onTruncated: ((data: Buffer, fds: number[]) => void) | null = null;
  /** The other side will send no more, and all that it sent has been read; with an error where it broke off. */
  onEnd: ((error?: Error) => void) | null = null;

  /** For who taps it: what was read (`in`) and what is to be written, with how many descriptors. */
  onPassed: OnPassed | null = null;
  /** It is closed or given back, by whomever; the last thing that is called. */
  onClosed: (() => void) | null = null;
  readonly #native: NativeChannel;
  readonly #records: boolean;
  readonly #isOurs: boolean;
  readonly #onReleased: (() => void) | undefined;
  readonly #unsent: Unsent[] = [];
  #reading = true;
  #limit = 0;
  /** What the loop was told last; -1: it could not be. */
  #watched = 0;
  #ending = false;
  /** The other side reads no more. */
  #mute = false;
  #open = true;
  #flushed: (() => void)[] = [];
  readonly #fd: number;
  #fdsAhead = 0;
  /** Something failed that passes, a write or the watch: both are tried again when it fires. */
  #retry: NodeJS.Timeout | null = null;

  /**
   * Takes the descriptor. `records`: a seqpacket socket, whose writes are sent whole or not at all.
   * `onReleased` is called once, when the descriptor is closed or given back. `closing`: on whose account it and what
   * comes through it are closed; one that has too many to be closed already brings no more, and ends. Absent: the other
   * side is a program of ours, which reads what it is sent, and need not be guarded against.
   */
  constructor(fd: number, records = false, onReleased?: () => void, closing?: Closing) {
    this.#fd = fd;
    this.#records = records;
    this.#onReleased = onReleased;
    this.#isOurs = closing === undefined;
    this.#native = native.channelOpen(
      fd,
      (what, data, fds, errno) => {
        if (what === 'data') this.#received(data as Buffer, fds as number[], errno);
        else if (what === 'end') this.#ended(errno);
        else this.#flush();
      },
      closing,
    );
    this.#watch();
  }

  /** Its descriptor, the channel's own: to be looked at, or lent to a transfer. -1: closed. */
  get fd(): number {
    return this.#open ? this.#fd : -1;
  }

  /** The other end, where it is a TCP connection. */
  get remote(): SocketAddress | undefined {
    return this.#open ? native.socketAddress(this.#fd) : undefined;
  }

  /** Of records: sent at once, or (false) not at all. The descriptors stay the caller's. */
  trySend(record: Buffer, fds: readonly number[]): boolean {
    if (!this.#open || this.#mute || this.#unsent.length > 0) return false;
    return native.channelSend(this.#native, record, fds) >= 0;
  }

  /** False: it is kept until the socket has room. Takes the descriptors. */
  write(data: Buffer, fds: readonly number[] = []): boolean {
    if (!this.#open || this.#mute) {
      closeAll(fds);
      return this.#open;
    }
    this.onPassed?.('out', data, fds.length);
    this.#unsent.push({ data, fds });
    if (this.#unsent.length === 1) this.#flush();
    return this.#unsent.length === 0;
  }

  /** No more will be written: the other side reads the end of the stream after what is on its way. */
  end(): void {
    this.#ending = true;
    if (this.#unsent.length === 0) native.channelShutdown(this.#native);
  }

  /** Resolves when all that was written is with the kernel, or the channel is closed. */
  flushed(): Promise<void> {
    if (this.#unsent.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#flushed.push(resolve));
  }

  /** Nothing waits for room in the socket. */
  get idle(): boolean {
    return this.#unsent.length === 0;
  }

  /** Descriptors that wait for room in the socket. */
  get unsentFds(): number {
    return this.#unsent.reduce((sum, { fds }) => sum + fds.length, 0);
  }

  pause(): void {
    this.#reading = false;
    this.#watch();
  }

  /**
   * Of a stream, one read takes at most `limit` bytes until the next call (0: as many as there is room for). What
   * is not read stays in the kernel, in step with its descriptors, for whoever has the descriptor next.
   */
  resume(limit = 0): void {
    this.#reading = true;
    this.#limit = limit;
    this.#watch();
  }

  close(): void {
    const fd = this.release();
    if (fd >= 0) closeSocket(fd);
  }

  /** Closes it here alone: other processes have it, too, for whom it goes on. */
  leave(): void {
    const fd = this.release();
    if (fd >= 0) closeShared(fd);
  }

  /** Gives the descriptor back, the caller's from then on (-1: it is closed). Unsent data is dropped. */
  release(): number {
    if (!this.#open) return -1;
    this.#open = false;
    this.onData = null;
    this.onEnd = null;
    for (const { fds } of this.#unsent.splice(0)) closeAll(fds);
    if (this.#retry) clearTimeout(this.#retry);
    this.#settle();
    const fd = native.channelRelease(this.#native);
    this.#onReleased?.();
    this.onClosed?.();
    this.onClosed = null;
    return fd;
  }

  /**
   * What was written and is not with the kernel yet, the caller's to send from now on. Null where descriptors are
   * among it: then it stays, see `flushed`.
   */
  takeUnsent(): Buffer | null {
    if (this.#unsent.some(({ fds }) => fds.length > 0)) return null;
    const unsent = Buffer.concat(this.#unsent.splice(0).map(({ data }) => data));
    this.#watch();
    this.#settle();
    return unsent;
  }

  #received(data: Buffer, fds: number[], errno: number): void {
    this.onPassed?.('in', data, fds.length);
    if (errno !== 0 && this.onTruncated) {
      this.onTruncated(data, fds);
    } else if (errno !== 0) {
      closeAll(fds);
      this.#ended(errno);
    } else if (this.onData) {
      this.onData(data, fds);
    } else {
      closeAll(fds);
    }
  }

  #ended(errno: number): void {
    this.#reading = false;
    this.#watch();
    this.onEnd?.(errno === 0 ? undefined : new Error(getSystemErrorName(-errno)));
  }

  #flush(): void {
    let first = this.#unsent[0];
    while (first) {
      const sent = this.#mayCarry(first.fds)
        ? native.channelSend(this.#native, first.data, first.fds)
        : -ETOOMANYREFS;
      if (sent === -EAGAIN) break;
      if (sent < 0 && isTransient(-sent)) {
        this.#retryLater();
        break;
      }
      this.#fdsAhead += first.fds.length;
      closeAll(first.fds);
      first.fds = [];
      if (sent < 0) {
        for (const { fds } of this.#unsent.splice(0)) closeAll(fds);
        if (GONE.includes(-sent)) this.#mute = true;
        else this.#ended(-sent);
        break;
      }
      if (sent < first.data.length && !this.#records) first.data = first.data.subarray(sent);
      else this.#unsent.shift();
      first = this.#unsent[0];
    }
    if (!this.#open) return;
    this.#watch();
    if (this.#unsent.length > 0) return;
    if (this.#ending) native.channelShutdown(this.#native);
    this.#settle();
  }

  /** The reader has few descriptors to fetch, or has fetched everything. */
  #mayCarry(fds: readonly number[]): boolean {
    if (this.#isOurs || fds.length === 0 || this.#fdsAhead < FDS_AHEAD) return true;
    if (native.channelUnread(this.#native) > 0) return false;
    this.#fdsAhead = 0;
    return true;
  }

  #retryLater(): void {
    this.#retry ??= tryLater(() => {
      this.#retry = null;
      this.#flush();
    });
  }

  #settle(): void {
    for (const resolve of this.#flushed.splice(0)) resolve();
  }

  #watch(): void {
    if (!this.#open) return;
    const [reading, limit] = [this.#reading, this.#limit];
    const writing = this.#unsent.length > 0 && this.#retry === null;
    const [before, after] = [this.#watched, Number(reading) + 2 * Number(writing) + 4 * limit];
    if (before === after) return; // each change is a system call or two
    const error = -native.channelWatch(this.#native, reading, writing, limit);
    this.#watched = error === 0 ? after : -1;
    if (error === 0) return;
    if (isTransient(error))
      this.#retryLater(); // until then it hears nothing, and loses nothing
    else setImmediate(() => this.#ended(error));
  }
}

/**
 * Waits until a connecting socket is connected, at most so long: 0, or the errno of why it is not. The descriptor
 * stays the caller's.
 */
export async function connected(fd: number, timeoutMs: number): Promise<number> {
  const state = native.socketState(fd);
  if (state !== EINPROGRESS) return state;
  return new Promise((resolve) => {
    const channel = native.channelOpen(fd, (what) => {
      const now = native.socketState(fd);
      if (what === 'writable' && now !== EINPROGRESS) settle(now);
    });
    let retry: NodeJS.Timeout | undefined;
    const settle = (errno: number) => {
      clearTimeout(timer);
      clearTimeout(retry);
      native.channelRelease(channel);
      resolve(errno);
    };
    const timer = setTimeout(() => settle(ETIMEDOUT), timeoutMs);
    const watch = () => {
      const error = -native.channelWatch(channel, false, true, 0);
      if (error === 0) return;
      if (isTransient(error)) retry = tryLater(watch);
      else settle(error);
    };
    watch();
  });
}

/**
 * Calls back once when the process behind a pidfd is gone. Takes the descriptor; the returned function ends
 * the watch. A pidfd says only one thing, by turning readable, and has nothing to be read: that is an end.
 */
export function watchProcess(pidfd: number, onExit: () => void): () => void {
  const channel = new Channel(pidfd);
  channel.onEnd = () => {
    channel.close();
    onExit();
  };
  return () => channel.close();
}
