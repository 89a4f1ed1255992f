/**
 * Sockets that Node.js itself has, as HTTP and TLS of its own want them.
 *
 * libuv ends the process where the kernel has no memory or no watch left for a descriptor (ENOMEM, ENOSPC of
 * epoll_ctl(2); watches are counted by user). So each of these has its place before libuv asks for one: a socket that
 * finds none is closed, and nothing else ends. What is read and paused in turn may lose its place in between; few
 * sockets are, and a user of the daemon's own, who has no use for so many, keeps others from using them up.
 */
import { closeSync, watch } from 'node:fs';
import { Socket } from 'node:net';
import { errnoName } from '../kernel/errno.js';
import { type ErrnoResult, ok } from '../kernel/result.js';
import { native } from './native.js';
import { type Polled, poller } from './poller.js';
import { EAGAIN } from './transient.js';

/** What the loop needs for itself, while there is room: for our own epoll sets, and for watching files. */
export function reserveLoop(): void {
  poller.open();
  try {
    watch('/', { persistent: false }).close();
  } catch {
    // No inotify: whoever watches files finds out.
  }
}

/**
 * Takes the descriptor, of a connected stream, and closes it where it can't be watched. Our half ends with the other's,
 * or not (`allowHalfOpen`).
 */
export function socketOf(fd: number, allowHalfOpen = true): ErrnoResult<Socket> {
  const reserved = reserve(fd);
  if (!reserved.ok) return reserved;
  return ok(new Socket({ fd, readable: true, writable: true, allowHalfOpen }));
}

/** Has a place for it in the loop; where there is none, the descriptor is closed. */
export function reserve(fd: number): ErrnoResult<void> {
  const error = native.socketReserve(fd);
  if (error === 0) return ok(undefined);
  closeSync(fd);
  return { ok: false, errno: errnoName(-error) };
}

type Peer = { readonly pid: number; readonly uid: number };

/** Accepts connections as such sockets. One that finds no room is closed; who can't be accepted waits. */
export class Acceptor implements Polled {
  /** `peer`: who connected, as the kernel has it in our namespaces; undefined: it was no unix socket. */
  onSocket: ((socket: Socket, peer: Peer | undefined) => void) | null = null;
  readonly #fd: number;
  #watched = false;
  #open = true;

  /** Takes the listening descriptor. */
  constructor(fd: number) {
    this.#fd = fd;
    this.#watch();
  }

  /** Closes the listener; sockets that were accepted go on. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    poller.remove(this.#fd);
    closeSync(this.#fd);
  }

  happened(): void {
    for (;;) {
      const fd = this.#open ? native.socketAccept(this.#fd) : -EAGAIN;
      if (fd === -EAGAIN) return;
      if (fd < 0) {
        poller.later(this); // a limit, or trouble of the network that accept(2) says will pass
        return;
      }
      const peer = native.socketPeer(fd);
      const socket = socketOf(fd);
      if (socket.ok) this.onSocket?.(socket.value, peer);
    }
  }

  turn(): void {
    if (!this.#open) return;
    if (this.#watched) this.happened();
    else this.#watch();
  }

  /** A bug about one of them is not the listener's end. */
  abort(): void {
    poller.later(this);
  }

  #watch(): void {
    this.#watched = poller.add(this.#fd, this) === 0;
    if (!this.#watched) poller.later(this);
  }
}
