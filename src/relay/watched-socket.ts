/**
 * A socket of Node's over a connection that was accepted elsewhere, for protocols that only Node speaks here (TLS).
 *
 * Node hears of a reset when it reads or writes. What is built on it does neither while the client reads nothing, and
 * would keep a connection that is no more: here the end is told by epoll itself, and the socket is destroyed.
 */
import { Socket } from 'node:net';
import { errnoName } from '../kernel/errno.js';
import { type ErrnoResult, ok } from '../kernel/result.js';
import { EPOLLERR, EPOLLHUP, type Polled, poller } from './poller.js';
import { reserve } from './socket.js';

/** Takes the descriptor, as `socketOf` does, and closes it where it can't be watched. */
export function watchedSocketOf(fd: number): ErrnoResult<Socket> {
  const reserved = reserve(fd);
  if (!reserved.ok) return reserved;
  const socket = new WatchedSocket(fd);
  const added = poller.add(fd, socket);
  if (added === 0) return ok(socket);
  socket.destroy();
  return { ok: false, errno: errnoName(-added) };
}

class WatchedSocket extends Socket implements Polled {
  #fd: number;

  constructor(fd: number) {
    super({ fd, readable: true, writable: true, allowHalfOpen: true });
    this.#fd = fd;
    this.on('error', () => this.destroy());
  }

  happened(events: number): void {
    if (events & (EPOLLHUP | EPOLLERR)) this.destroy();
  }

  turn(): void {}

  abort(): void {
    this.destroy();
  }

  /** Before the descriptor is closed, and its number somebody else's. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const fd = this.#fd;
    this.#fd = -1;
    if (fd >= 0) poller.remove(fd);
    super._destroy(error, done);
  }
}
