/**
 * The connections of a link that are in our own hands, for somebody who wants to see them. What a connection is about is
 * asked for then, so nobody who does not look pays for it.
 */
import type { OnConnectionEnd, OpenConnection, Peer } from '../mesh/attacher.js';
import type { Described } from '../plugins/plugin.js';
import { native } from '../relay/native.js';

interface Held {
  /** Moved by the relay, and by no object of ours. */
  toProvider: number;
  toConsumer: number;
  readonly number: number;
  readonly since: number;
  peer: Peer | null;
  describe: (() => Described) | null;
}

/** Of a stream of bytes, what was read from it and written to it. */
interface Socket {
  readonly fd: number;
  readonly bytesIn?: number;
  readonly bytesOut?: number;
}

export class HeldConnections {
  readonly #all = new Map<Socket, Held>();
  readonly #watchers = new Set<OnConnectionEnd>();
  #count = 0;

  add(socket: Socket): void {
    const held: Held = {
      ...{ number: ++this.#count, since: Date.now(), peer: null, describe: null },
      ...{ toProvider: 0, toConsumer: 0 },
    };
    this.#all.set(socket, held);
    if (this.#watchers.size > 0) this.#look(socket, held);
  }

  /** The how manieth it is; 0: it is none of these. */
  numberOf(socket: Socket): number {
    return this.#all.get(socket)?.number ?? 0;
  }

  /** The same connection has another object. */
  replace(socket: Socket, by: Socket): void {
    const held = this.#all.get(socket);
    this.#all.delete(socket);
    if (held) this.#all.set(by, held);
  }

  describe(socket: Socket, describe: () => Described): void {
    const held = this.#all.get(socket);
    if (held) held.describe = describe;
  }

  /** One that is in nobody's hands here, see `StreamHost.shares`. */
  share(peer: Peer, about: () => Described): (reason: string) => void {
    let reason: string | undefined;
    const socket = { fd: -1 };
    this.add(socket);
    Object.assign(this.#all.get(socket) as Held, {
      peer,
      describe: () => (reason === undefined ? about() : { ...about(), reason }),
    });
    return (why) => {
      reason = why;
      this.delete(socket);
    };
  }

  /** It has ended. */
  delete(socket: Socket): void {
    const held = this.#all.get(socket);
    if (!held) return;
    this.#all.delete(socket);
    if (this.#watchers.size === 0) return;
    const ended = shownOf(socket, held);
    for (const watcher of [...this.#watchers]) watcher(ended.connection, ended.reason);
  }

  /** The relay has moved some of what passes. */
  moved(socket: Socket, bytes: Partial<Pick<Held, 'toProvider' | 'toConsumer'>>): void {
    const held = this.#all.get(socket);
    if (!held) return;
    held.toProvider += bytes.toProvider ?? 0;
    held.toConsumer += bytes.toConsumer ?? 0;
  }

  /** It is somebody else's from now on, and goes on there. */
  give(socket: Socket): void {
    this.#all.delete(socket);
  }

  list(): OpenConnection[] {
    return [...this.#all].map(([socket, held]) => {
      this.#look(socket, held);
      return shownOf(socket, held).connection;
    });
  }

  watch(onEnd: OnConnectionEnd): () => void {
    for (const [socket, held] of this.#all) this.#look(socket, held);
    this.#watchers.add(onEnd);
    return () => this.#watchers.delete(onEnd);
  }

  /** Once it has ended, nobody can tell any more who it was. */
  #look({ fd }: Socket, held: Held): void {
    if (fd >= 0) held.peer ??= peerOf(fd);
  }
}

/** Null: neither a process nor an address that could be known. */
export function peerOf(fd: number): Peer | null {
  return native.socketAddress(fd) ?? native.socketPeer(fd) ?? null;
}

function shownOf({ bytesIn = 0, bytesOut = 0 }: Socket, held: Held) {
  const { number, since, peer, describe } = held;
  const {
    toProvider = bytesIn,
    toConsumer = bytesOut,
    reason = 'closed',
    ...about
  } = describe?.() ?? {};
  const bytes = {
    toProvider: toProvider + held.toProvider,
    toConsumer: toConsumer + held.toConsumer,
  };
  const place = [0, number] as const;
  const connection = { place, since, joined: true, peer, ...bytes, about };
  return { connection, reason };
}
