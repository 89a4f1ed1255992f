/**
 * The mesh: brings the attached links to those that the newest graph has.
 *
 * A new graph is given to the executors of all links at once (link-runner.ts), so no graph waits for another, and no
 * link for another link. A graph that equals the last one costs comparisons, and no system call.
 */
import { EventEmitter } from 'eventemitter3';
import { isSameLink } from '../graph/difference.js';
import { type GraphSnapshot, type Link, type LinkState, linkId } from '../graph/link.js';
import { DrainBarrier } from '../kernel/drain.js';
import type { LinkError } from '../kernel/errors.js';
import type { Result } from '../kernel/result.js';
import type {
  Attacher,
  Fault,
  LinkStats,
  OnConnectionEnd,
  OpenConnection,
  Probed,
  Tap,
  TapSink,
} from './attacher.js';
import { LinkRunner } from './link-runner.js';
import type { Desired } from './plan.js';
import { NO_TAP } from './taps.js';

export interface MeshEvents {
  /** A link's state, the reason for it, or its fields have changed. */
  state: (id: string, link: Link, state: LinkState, error: LinkError | null) => void;
  /** A link has left, and nothing of it is left. */
  gone: (id: string) => void;
  /** The graph named a process that has ended: a newer graph is needed. */
  stale: (id: string) => void;
}

interface Entry {
  readonly runner: LinkRunner;
  link: Link;
  /** The link as `state` last reported it. */
  said: Link;
  state: LinkState;
  error: LinkError | null;
}

export class Mesh extends EventEmitter<MeshEvents> {
  readonly #attacher: Attacher;
  #drainMs: number;
  #isFrozen = false;
  readonly #entries = new Map<string, Entry>();
  readonly #barrier = new DrainBarrier(() => this.#entries.size === 0);
  readonly #idle = new DrainBarrier(() => [...this.#entries.values()].every(isIdle));

  /** `drainMs`: how long the connections of a link that leaves may stay. */
  constructor(attacher: Attacher, { drainMs }: { drainMs: number }) {
    super();
    this.#attacher = attacher;
    this.#drainMs = drainMs;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Makes this the desired graph. If two links have one identity, the first counts. */
  reconcile({ links, stamp }: GraphSnapshot): void {
    const desired = new Map<string, Link>();
    for (const link of links) {
      const id = linkId(link);
      if (!desired.has(id)) desired.set(id, link);
    }
    const changed = this.#differs(desired);
    for (const [id, entry] of this.#entries) {
      if (!desired.has(id) && entry.runner.desired) entry.runner.want(null, true);
    }
    for (const [id, link] of desired) this.#want(id, { link, stamp }, changed);
  }

  /** Resolves when no link has a step under way: each is as far as it can be for now. */
  idle(): Promise<void> {
    return this.#idle.drained();
  }

  /** No step begins any more, whatever the graphs say. Resolves as `idle`. */
  freeze(): Promise<void> {
    this.#isFrozen = true;
    return this.idle();
  }

  /** What was put off is done. */
  thaw(): void {
    this.#isFrozen = false;
    for (const { runner } of [...this.#entries.values()]) runner.thaw();
  }

  /** Counters of a link over all its attachments. */
  stats(id: string): LinkStats | null {
    return this.#entries.get(id)?.runner.stats() ?? null;
  }

  /** The fields that the plugin of a link shows beside its state. */
  shown(id: string): Readonly<Record<string, unknown>> {
    return this.#entries.get(id)?.runner.shown() ?? {};
  }

  /** The open connections of a link, ordered by their place; empty where there is no such link. Never rejects. */
  async connections(id: string): Promise<OpenConnection[]> {
    return (await this.#entries.get(id)?.runner.connections()) ?? [];
  }

  /** Tells of each connection of a link that ends, until the returned function is called. */
  watch(id: string, onEnd: OnConnectionEnd): () => void {
    return this.#entries.get(id)?.runner.watch(onEnd) ?? (() => undefined);
  }

  /** Tries a link by one connection to its provider; null: there is no such link. Never rejects. */
  async probe(id: string): Promise<Result<Probed> | null> {
    return (await this.#entries.get(id)?.runner.probe()) ?? null;
  }

  /** Shows what passes on a link. */
  tap(id: string, sink: TapSink): Tap {
    return this.#entries.get(id)?.runner.tap(sink) ?? NO_TAP;
  }

  /** Makes the provider of a link worse than it is, until the returned function is called. */
  fault(id: string, fault: Fault): () => void {
    return this.#entries.get(id)?.runner.fault(fault) ?? (() => undefined);
  }

  /** Detaches every link, and resolves when nothing is left. `drainMs`: for links that leave from now on. */
  async close(drainMs = this.#drainMs): Promise<void> {
    this.#drainMs = drainMs;
    this.#isFrozen = false;
    this.reconcile({ links: [], stamp: 0 });
    this.thaw();
    await this.#barrier.drained();
  }

  #differs(desired: ReadonlyMap<string, Link>): boolean {
    let same = 0;
    for (const [id, entry] of this.#entries) {
      const before = entry.runner.desired?.link;
      const now = desired.get(id);
      if (!before && !now) continue;
      if (!before || !now || !isSameLink(before, now)) return true;
      same++;
    }
    return same !== desired.size;
  }

  #want(id: string, desired: Desired, changed: boolean): void {
    const entry = this.#entries.get(id) ?? this.#enter(id, desired.link);
    const isNews = !isSameLink(entry.said, desired.link);
    entry.link = desired.link;
    entry.runner.want(desired, changed);
    if (isNews && entry.said !== desired.link) this.#say(id, entry);
  }

  #enter(id: string, link: Link): Entry {
    const options = { drainMs: () => this.#drainMs, mayStep: () => !this.#isFrozen };
    const runner = new LinkRunner(this.#attacher, options, {
      onState: (state, error) => this.#show(id, entry, state, error),
      onStale: () => this.emit('stale', id),
      onIdle: () => this.#idle.check(),
      onGone: () => {
        this.#entries.delete(id);
        this.emit('gone', id);
        this.#barrier.check();
      },
    });
    const entry: Entry = { runner, link, said: link, state: 'waiting', error: null };
    this.#entries.set(id, entry);
    this.#say(id, entry);
    return entry;
  }

  #show(id: string, entry: Entry, state: LinkState, error: LinkError | null): void {
    if (state === entry.state && sameError(error, entry.error)) return;
    entry.state = state;
    entry.error = error;
    this.#say(id, entry);
  }

  #say(id: string, entry: Entry): void {
    entry.said = entry.link;
    this.emit('state', id, entry.link, entry.state, entry.error);
  }
}

function isIdle({ runner }: Entry): boolean {
  return runner.isIdle;
}

function sameError(a: LinkError | null, b: LinkError | null): boolean {
  return a?.code === b?.code && a?.message === b?.message;
}
