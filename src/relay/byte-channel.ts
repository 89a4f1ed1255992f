/**
 * ByteChannel: a stream socket in JavaScript's hands, bytes only, for protocols that are read here.
 *
 * Reads land in one buffer that all channels share, and a write is tried at once, so that in the common case no
 * memory is allocated for a byte that passes. What the peer has no room for is copied and kept; whoever heeds
 * `write`'s answer is never owed more than one write. A descriptor that a peer sends along is dropped, and what
 * it sent behind it may wait until it sends more.
 */
import type { SocketAddress } from '../kernel/ip-address.js';
import type { ByteStreamOwner, OnPassed, SocketStream } from './byte-stream.js';
import { native } from './native.js';
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  type Polled,
  poller,
} from './poller.js';
import { EAGAIN, isTransient } from './transient.js';

/** Of a read: the peer sent more descriptors than are closed in time, which is its end. */
const ETOOMANYREFS = 109;
const READ_SIZE = 128 * 1024;
/** Reads of one channel before the others have their turn. */
const MAX_READS = 4;

let shared: Buffer | null = null;

export class ByteChannel implements SocketStream, Polled {
  owner: ByteStreamOwner | null = null;
  onPassed: OnPassed | null = null;
  bytesIn = 0;
  bytesOut = 0;
  readonly #onClosed: (() => void) | undefined;
  #fd: number;
  #reading = false;
  /** There may be something to read. */
  #readable = true;
  /** The end of the stream is on its way: a short read does not mean that nothing is left. */
  #finishing = false;
  #ended = false;
  /** Writing failed: the peer is gone, but what it sent before is still read. */
  #mute = false;
  /** The peer is gone, and the owner has not been told: what it sent before comes first. */
  #hangingUp = false;
  #queued = false;
  /** In the poller's set. */
  #watched = false;
  /** A write failed for a reason that passes, and no event tells when: a later turn writes again. */
  #stalled = false;
  #open = true;
  #ending = false;
  #unsent: Buffer[] = [];

  /** Takes the descriptor. `onClosed` is called once, when it is closed or given back. */
  constructor(fd: number, onClosed?: () => void) {
    this.#fd = fd;
    this.#onClosed = onClosed;
    this.#watch();
  }

  write(buffer: Buffer, from: number, to: number): boolean {
    if (this.#fd < 0 || this.#mute) return true;
    this.onPassed?.('out', buffer.subarray(from, to), 0);
    if (this.#unsent.length > 0) {
      this.#unsent.push(copyOf(buffer, from, to));
      return false;
    }
    const sent = native.socketWrite(this.#fd, buffer, from, to);
    if (sent === to - from) {
      this.bytesOut += sent;
      return true;
    }
    if (sent < 0 && !this.#mayWriteLater(-sent)) {
      this.#silence();
      return true;
    }
    const done = Math.max(sent, 0);
    this.bytesOut += done;
    this.#unsent.push(copyOf(buffer, from + done, to));
    return false;
  }

  resume(): void {
    this.#reading = true;
    if (this.#readable) this.#askForTurn();
  }

  pause(): void {
    this.#reading = false;
  }

  poke(): void {
    this.#readable = true;
    this.#read();
  }

  end(): void {
    this.#ending = true;
    if (this.#unsent.length === 0 && this.#fd >= 0) native.socketShutdown(this.#fd);
  }

  close(): void {
    const fd = this.#forget();
    if (fd >= 0) native.socketClose(fd);
  }

  abort(): void {
    this.#break();
  }

  get fd(): number {
    return this.#fd;
  }

  get remote(): SocketAddress | undefined {
    return this.#fd < 0 ? undefined : native.socketAddress(this.#fd);
  }

  get hasUnsent(): boolean {
    return this.#unsent.length > 0;
  }

  takeUnsent(): Buffer {
    return Buffer.concat(this.#unsent.splice(0));
  }

  release(): number {
    return this.#forget();
  }

  happened(events: number): void {
    if (events & EPOLLOUT && this.#unsent.length > 0) this.#flush();
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) this.#finishing = true;
    if (events & (EPOLLHUP | EPOLLERR)) this.#hangingUp = true;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
      this.#readable = true;
      if (this.#reading) this.#read();
    }
    this.#hangUp();
  }

  turn(): void {
    this.#queued = false;
    if (this.#fd < 0) return;
    if (!this.#watched) this.#watch();
    if (this.#stalled) this.#flush();
    if (this.#reading && this.#readable) this.#read();
    this.#hangUp();
  }

  /** Where the kernel has no room for it in the set, it hears nothing until it has, and loses nothing. */
  #watch(): void {
    const error = -poller.add(this.#fd, this);
    this.#watched = error === 0;
    if (this.#watched) return;
    if (isTransient(error)) poller.later(this);
    else setImmediate(() => this.#break());
  }

  #mayWriteLater(errno: number): boolean {
    if (errno === EAGAIN) return true; // an event tells when
    if (!isTransient(errno)) return false;
    this.#stalled = true;
    poller.later(this);
    return true;
  }

  /** Nothing that is written will arrive; what came before is read first, and not in the middle of the owner's own call. */
  #silence(): void {
    this.#unsent = [];
    this.#mute = this.#finishing = this.#readable = this.#hangingUp = true;
    this.#askForTurn();
  }

  /** Says that the peer is gone, once nothing of it is left to be read. */
  #hangUp(): void {
    if (!this.#hangingUp || this.#fd < 0) return;
    if (this.#reading && this.#readable && !this.#ended) return; // another turn follows
    this.#hangingUp = false;
    this.owner?.hungUp();
  }

  #askForTurn(): void {
    if (this.#queued || this.#fd < 0) return;
    this.#queued = true;
    poller.again(this);
  }

  #read(): void {
    shared ??= Buffer.allocUnsafeSlow(READ_SIZE);
    for (let reads = 0; reads < MAX_READS; reads++) {
      if (!this.#reading || this.#fd < 0 || this.#ended) return;
      const n = native.socketRead(this.#fd, shared);
      if (n > 0) {
        this.bytesIn += n;
        // A short read has emptied the socket: the next byte brings its own event.
        this.#readable = n === READ_SIZE || this.#finishing;
        this.onPassed?.('in', shared.subarray(0, n), 0);
        this.owner?.received(shared, 0, n);
        if (!this.#readable) return;
      } else if (n === 0) {
        this.#ended = true;
        this.#readable = false;
        this.owner?.ended();
        return;
      } else if (n === -EAGAIN) {
        this.#readable = false;
        return;
      } else if (isTransient(-n) && n !== -ETOOMANYREFS) {
        poller.later(this); // it is still there
        return;
      } else {
        this.#break();
        return;
      }
    }
    this.#askForTurn();
  }

  #flush(): void {
    this.#stalled = false;
    let first = this.#unsent[0];
    while (first) {
      const sent = native.socketWrite(this.#fd, first, 0, first.length);
      if (sent < 0) {
        if (!this.#mayWriteLater(-sent)) this.#silence();
        return;
      }
      this.bytesOut += sent;
      if (sent < first.length) this.#unsent[0] = first.subarray(sent);
      else this.#unsent.shift();
      first = this.#unsent[0];
    }
    if (this.#ending) native.socketShutdown(this.#fd);
    this.owner?.drained();
  }

  #break(): void {
    if (!this.#open) return;
    const { owner } = this;
    this.close();
    owner?.broken();
  }

  #forget(): number {
    if (!this.#open) return -1;
    const fd = this.#fd;
    this.#open = false;
    this.#fd = -1;
    this.#unsent = [];
    this.owner = null;
    poller.remove(fd);
    this.#onClosed?.();
    return fd;
  }
}

function copyOf(buffer: Buffer, from: number, to: number): Buffer {
  return Buffer.from(buffer.subarray(from, to));
}
