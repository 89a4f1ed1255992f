/**
 * The containers that links need, each held once by the broker however many links share it.
 *
 * A container is the process that was behind a pid when it was taken, not the pid: when that process ends,
 * everybody who retains it is told, and the pid is unknown again.
 *
 * A runtime may go on naming the pid of a container that has ended, in graphs that are newer than the stranger who got
 * that number. So a pid that was seen to end is not taken for that container again until a graph has named another for
 * it, or none; and where the cgroups of a process say which container it is in, that is what counts. A process that
 * started after the question for the graph, but before its answer, is not taken either, but may be the one that is meant:
 * the next graph decides.
 */
import { readFileSync } from 'node:fs';
import type { Broker } from '../broker/client.js';
import { HOST } from '../broker/protocol.js';
import type { GraphSnapshot } from '../graph/link.js';
import { bootTicks, startTicksOfPid } from '../kernel/boot-clock.js';
import type { LinkError } from '../kernel/errors.js';
import { failed, ok, type Result } from '../kernel/result.js';
import { watchProcess } from '../relay/channel.js';
import { containerOf, isSameContainer } from './cgroup.js';
import { endedError, holdError, strangerError } from './errno.js';

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
    /** Name or id that its runtime gave it, as its cgroups tell; null: they tell none. */
    readonly known: string | null = null,
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

/** As many containers as the broker holds. */
const ENDED_MAX = 4_096;

interface Entry {
  readonly held: Promise<Result<Container>>;
  container: Container | null;
  users: number;
  unwatch: (() => void) | null;
}

export class Containers {
  /** A container that somebody retained has ended. */
  onExit: ((container: Container) => void) | null = null;
  readonly #broker: Broker;
  readonly #entries = new Map<number, Entry>();
  /** By pid: the container that the graph means, as cgroups name it, where the graph says. */
  #engineIds: ReadonlyMap<number, string> = new Map();
  /** By a container's name: its pid that ended, and that the graph may still name. */
  readonly #ended = new Map<string, number>();
  readonly #ownCgroup = ownCgroup();
  /** When the graph came, in clock ticks since boot; 0: it is not known. */
  #seenAt = 0;
  #generations = 0;

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  /** What a new graph names; before its links are made. */
  see({ links, engineIds }: Pick<GraphSnapshot, 'links' | 'engineIds'>): void {
    this.#engineIds = engineIds ?? new Map();
    this.#seenAt = bootTicks();
    if (this.#ended.size === 0) return;
    const seen = (name: string, pid: number) => {
      if (this.#ended.has(name) && this.#ended.get(name) !== pid) this.#ended.delete(name);
    };
    for (const { consumer, consumerPid, provider, providerPid } of links) {
      seen(consumer, consumerPid);
      seen(provider, providerPid);
    }
  }

  /** 0: not held. No system call. */
  generation(pid: number): number {
    return this.#entries.get(pid)?.container?.generation ?? 0;
  }

  /**
   * Holds the process behind `pid`, if it started no later than `stamp` (clock ticks since boot, 0: any).
   * Each success is paid back by one `release`.
   */
  async retain(name: string, pid: number, stamp: number): Promise<Result<Container>> {
    const entry = this.#entries.get(pid) ?? this.#hold(name, pid, stamp);
    entry.users++;
    const held = await entry.held;
    if (!held.ok) return held;
    const container = held.value;
    const error = container.alive ? this.#stranger(name, container) : holdError(name, pid, 'ESRCH');
    if (!error) return held;
    this.#drop(pid, entry);
    return failed(error);
  }

  /** Why this process is not that container; null: nothing says so. */
  #stranger(name: string, { pid, known }: Container): LinkError | null {
    const meant = this.#engineIds.get(pid) ?? name;
    const isSame = known === null ? null : isSameContainer(meant, known);
    if (isSame === false) return strangerError(name, pid, known as string);
    return isSame === null && this.#ended.get(name) === pid ? endedError(name, pid) : null;
  }

  /** Whether a process that is younger than the question for the graph was there when the answer came. */
  #mayBeMeant(pid: number): boolean {
    const start = startTicksOfPid(pid);
    return start > 0 && start <= this.#seenAt;
  }

  #noteEnd(name: string, pid: number): void {
    this.#ended.delete(name);
    this.#ended.set(name, pid);
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > ENDED_MAX) this.#ended.delete(oldest as string);
  }

  release(container: Container): void {
    const entry = this.#entries.get(container.pid);
    if (entry?.container === container) this.#drop(container.pid, entry);
  }

  #hold(name: string, pid: number, stamp: number): Entry {
    const hold = async (): Promise<Result<Container>> => {
      const result = await this.#broker.hold(pid, stamp);
      if (!result.ok) {
        this.#entries.delete(pid);
        const isEnd = result.errno === 'ESTALE' && !this.#mayBeMeant(pid);
        if (isEnd || result.errno === 'ESRCH') this.#noteEnd(name, pid);
        return failed(holdError(name, pid, result.errno));
      }
      const { handle, cgroup } = result.value;
      const known = containerOf(cgroup, this.#ownCgroup);
      const container = new Container(name, pid, handle, ++this.#generations, known);
      entry.container = container;
      entry.unwatch = watchProcess(result.value.pidfd, () => this.#exited(container, entry));
      return ok(container);
    };
    const entry: Entry = { held: hold(), container: null, users: 0, unwatch: null };
    this.#entries.set(pid, entry);
    return entry;
  }

  #exited(container: Container, entry: Entry): void {
    entry.unwatch = null;
    this.#entries.delete(container.pid);
    void this.#broker.release(container.handle);
    this.#noteEnd(container.name, container.pid);
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

/** Empty where the kernel has no cgroups. */
function ownCgroup(): string {
  try {
    return readFileSync('/proc/self/cgroup', 'utf8');
  } catch {
    return '';
  }
}
