/**
 * What the mesh needs of whoever makes links real. The mesh decides *which* links are attached and when;
 * an Attacher knows *how*. daemon.ts joins the two.
 */
import type { Link } from '../graph/link.js';
import type { LinkError } from '../kernel/errors.js';

/** What an attached link says of itself from then on. */
export interface AttachedListener {
  /**
   * `established`: the consumer can connect. `waiting`: it can, and would wait for its provider. `failed`: it
   * can, and would be refused. `error` says why, null only when established.
   */
  onState(state: 'established' | 'waiting' | 'failed', error: LinkError | null): void;
  /** The attachment died under us (its container ended, its listener broke): attach anew. */
  onLost(error: LinkError): void;
}

/** Counters of one link since it was attached; bytes as read from one side and written to the other. */
export interface LinkStats {
  readonly active: number;
  readonly total: number;
  readonly toProvider: number;
  readonly toConsumer: number;
  /** Ended connections by reason: the relay's (native/addon/relay.h), and what plugin and host count themselves. */
  readonly closes: Readonly<Record<string, number>>;
  /** Messages that a policy refused, by what would allow them. */
  readonly denied?: Readonly<Record<string, number>>;
  /** Those that it would have refused. */
  readonly audited?: Readonly<Record<string, number>>;
}

/** The two moments of leaving; neither rejects. */
export interface Detached {
  /** Nothing of the link is in the consumer any more: its target is free. */
  readonly removed: Promise<void>;
  /** Its last connection has ended too. */
  readonly done: Promise<void>;
}

export interface AttachedLink {
  /** Identity of the consumer that it was attached to: changes when the container is another one. */
  readonly consumerGeneration: number;
  /** Same link, other provider pid: new connections go there. Never touches the listener, never rejects. */
  retarget(link: Link, stamp: number): Promise<void>;
  /** Read at the moment of asking; no system call. */
  stats(): LinkStats;
  /** What else there is to say of it, by field of the wire form; read at the moment of asking. */
  shown(): Readonly<Record<string, unknown>>;
  /** Socket removed now, open connections closed after `drainMs`. */
  detach(drainMs: number): Detached;
}

export interface Attacher {
  /**
   * Generation of the container that `pid` is now known as: a number that changes whenever the process
   * behind the pid does (other start time or mount namespace), 0 where nothing is known. No system call.
   */
  generation(pid: number): number;
  /** Rejects with an XConnectError. `stamp` as in GraphSnapshot. */
  attach(link: Link, stamp: number, listener: AttachedListener): Promise<AttachedLink>;
}
