/**
 * What the mesh needs of whoever makes links real. The mesh decides *which* links are attached and when;
 * an Attacher knows *how*. daemon.ts joins the two.
 */
import type { Link } from '../graph/link.js';
import type { LinkError } from '../kernel/errors.js';

/** What an attached link says of itself from then on. */
export interface AttachedListener {
  /** The consumer can connect (`error` null), or can but would wait for its provider (`error` says why). */
  onState(state: 'established' | 'waiting', error: LinkError | null): void;
  /** The attachment died under us (its container ended, its listener broke): attach anew. */
  onLost(error: LinkError): void;
}

export interface AttachedLink {
  /** Identity of the consumer that it was attached to: changes when the container is another one. */
  readonly consumerGeneration: number;
  /** Same link, other provider pid: new connections go there. Never touches the listener. */
  retarget(link: Link, stamp: number): Promise<void>;
  /** Socket removed now, open connections closed after `drainMs`. Resolves when all is gone. Never rejects. */
  detach(drainMs: number): Promise<void>;
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
