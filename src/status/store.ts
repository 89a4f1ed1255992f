/**
 * What is known about each link: the mesh writes it, everything that reports reads it.
 */
import { EventEmitter } from 'eventemitter3';
import { LINK_STATES, type Link, type LinkState } from '../graph/link.js';
import type { LinkError } from '../kernel/errors.js';
import type { MeshEvents } from '../mesh/mesh.js';

export interface LinkStatus {
  readonly id: string;
  readonly link: Link;
  readonly state: LinkState;
  /** Why the link is not established, if that is known. */
  readonly error: LinkError | null;
  /** When the link came to this state; ISO 8601, UTC. A new reason for the same state is no new state. */
  readonly since: string;
  /** When the error with this code began; null: there is none. */
  readonly errorSince: string | null;
}

export interface StoreEvents {
  /** `gone` false: the state, reason or fields of a link, or what is shown with it, are new. True: the link has left, with this last status. */
  change: (status: LinkStatus, gone: boolean) => void;
}

/** The events of the mesh. */
export type StateEvents = EventEmitter<MeshEvents>;

export class StatusStore extends EventEmitter<StoreEvents> {
  readonly #statuses = new Map<string, LinkStatus>();

  constructor(mesh: StateEvents) {
    super();
    mesh.on('state', (id, link, state, error) => this.#set(id, link, state, error));
    mesh.on('gone', (id) => this.#remove(id));
  }

  get size(): number {
    return this.#statuses.size;
  }

  /** In the order in which the links came. */
  all(): IterableIterator<LinkStatus> {
    return this.#statuses.values();
  }

  /** Of every state, how many links are in it. */
  countByState(): Record<LinkState, number> {
    const counts = Object.fromEntries(LINK_STATES.map((state) => [state, 0]));
    for (const { state } of this.all()) counts[state] = (counts[state] ?? 0) + 1;
    return counts as Record<LinkState, number>;
  }

  /** Something beside its state that is shown with it has changed. */
  touch(id: string): void {
    const status = this.#statuses.get(id);
    if (status) this.emit('change', status, false);
  }

  #set(id: string, link: Link, state: LinkState, error: LinkError | null): void {
    const before = this.#statuses.get(id);
    const now = new Date().toISOString();
    const since = before?.state === state ? before.since : now;
    const isSame = error && before?.error?.code === error.code;
    const errorSince = isSame ? before.errorSince : error && now;
    const status = { id, link, state, error, since, errorSince };
    this.#statuses.set(id, status);
    this.emit('change', status, false);
  }

  #remove(id: string): void {
    const status = this.#statuses.get(id);
    if (!status) return;
    this.#statuses.delete(id);
    this.emit('change', status, true);
  }
}
