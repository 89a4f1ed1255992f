/**
 * The containers that links need, each held once by the broker however many links share it.
 *
 * A container is the process that was behind a pid when it was taken, not the pid: when that process ends,
 * everybody who retains it is told, and the pid is unknown again.
 */
import type { Broker } from '../broker/client.js';
import { HOST } from '../broker/protocol.js';
import { XConnectError } from '../kernel/errors.js';
import { watchProcess } from '../relay/channel.js';
import { holdError } from './errno.js';

export class Container {
  alive = true;
  readonly #onExit = new Set<() => void>();

  constructor(
    readonly name: string,
    readonly pid: number,
    /** What the broker knows it by. */
    readonly handle: number,
    /** Another number for every process ever held. */
    readonly generation: number,
  ) {}

  /** The returned function ends the subscription. */
  onExit(listener: () => void): () => void {
    this.#onExit.add(listener);
    return () => this.#onExit.delete(listener);
  }

  exited(): void {
    this.alive = false;
    for (const listener of [...this.#onExit]) listener();
  }
}

/** Where an operation of the broker may mean the host itself. Never retained, never gone. */
export const THE_HOST = new Container('the host', 0, HOST, 0);

interface Entry {
  readonly held: Promise<Container | XConnectError>;
  container: Container | null;
  users: number;
  unwatch: (() => void) | null;
}

export class Containers {
  /** A container that somebody retained has ended. */
  onExit: ((container: Container) => void) | null = null;
  readonly #broker: Broker;
  readonly #entries = new Map<number, Entry>();
  #generations = 0;

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  /** 0: not held. No system call. */
  generation(pid: number): number {
    return this.#entries.get(pid)?.container?.generation ?? 0;
  }

  /**
   * Holds the process behind `pid`, if it started no later than `stamp` (clock ticks since boot, 0: any).
   * Each success is paid back by one `release`.
   */
  async retain(name: string, pid: number, stamp: number): Promise<Container | XConnectError> {
    const entry = this.#entries.get(pid) ?? this.#hold(name, pid, stamp);
    entry.users++;
    const held = await entry.held;
    if (held instanceof XConnectError) return held;
    if (held.alive) return held;
    this.#drop(pid, entry);
    return holdError(name, pid, 'ESRCH');
  }

  release(container: Container): void {
    const entry = this.#entries.get(container.pid);
    if (entry?.container === container) this.#drop(container.pid, entry);
  }

  #hold(name: string, pid: number, stamp: number): Entry {
    const hold = async (): Promise<Container | XConnectError> => {
      const result = await this.#broker.hold(pid, stamp);
      if (!result.ok) {
        this.#entries.delete(pid);
        return holdError(name, pid, result.errno);
      }
      const container = new Container(name, pid, result.value.handle, ++this.#generations);
      entry.container = container;
      entry.unwatch = watchProcess(result.value.pidfd, () => this.#exited(container, entry));
      return container;
    };
    const entry: Entry = { held: hold(), container: null, users: 0, unwatch: null };
    this.#entries.set(pid, entry);
    return entry;
  }

  #exited(container: Container, entry: Entry): void {
    entry.unwatch = null;
    this.#entries.delete(container.pid);
    void this.#broker.release(container.handle);
    container.exited();
    this.onExit?.(container);
  }

  #drop(pid: number, entry: Entry): void {
    entry.users--;
    if (entry.users > 0 || this.#entries.get(pid) !== entry || !entry.container) return;
    this.#entries.delete(pid);
    entry.unwatch?.();
    void this.#broker.release(entry.container.handle);
  }
}
