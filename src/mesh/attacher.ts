/**
 * What the mesh needs from the code that makes links real. The mesh decides *which* links are attached and when;
 * an Attacher knows *how*. daemon.ts joins the two.
 */
import type { Link } from '../graph/link.js';
import type { Durations } from '../kernel/durations.js';
import type { LinkError } from '../kernel/errors.js';
import type { Result } from '../kernel/result.js';

/** Told of what happens to a link after it was attached. */
export interface AttachedListener {
  /**
   * `established`: the consumer can connect. `waiting`: its connections wait for the provider. `failed`: its
   * connections are refused. `error` says why, null only when established.
   */
  onState(state: 'established' | 'waiting' | 'failed', error: LinkError | null): void;
  /** The attachment has ended by itself (its container ended, its listener broke): attach anew. */
  onLost(error: LinkError): void;
}

/** Counters of one link since it was attached; bytes as read from one side and written to the other. */
export interface LinkStats {
  readonly active: number;
  readonly total: number;
  /** As many are active as may be, which is this number: further ones wait, or are closed. Absent: there is room. */
  readonly full?: number;
  readonly toProvider: number;
  readonly toConsumer: number;
  /** Ended connections by reason: the relay's (native/relay/relay.h), and what plugin and host count themselves. */
  readonly closes: Readonly<Record<string, number>>;
  /** Messages that a policy refused, by the rule that would allow them. */
  readonly denied?: Readonly<Record<string, number>>;
  /** The same in audit mode: messages that the policy would have refused. */
  readonly audited?: Readonly<Record<string, number>>;
  /** How long consumers waited for their provider, and requests over HTTP took; absent: nobody wants to know. */
  readonly connectTimes?: Durations;
  readonly requestTimes?: Durations;
}

/** A process as the kernel's credentials have it, in our own namespaces; or an address. */
export type Peer =
  | { readonly pid: number; readonly uid: number; readonly gid: number }
  | { readonly ip: string; readonly port: number };

/** What a protocol knows of a connection. */
export interface ConnectionAbout {
  /** Of D-Bus: the name that the bus gave it. */
  readonly unique_name?: string;
  /** Of HTTP: method and target of the last request. */
  readonly request?: string;
}

/** One connection that is open, or has just ended. */
export interface OpenConnection {
  /** Of its link: who has it, and the how manieth it is there. Those of a link are listed in this order. */
  readonly place: readonly [number, number];
  /** Milliseconds since 1970. */
  readonly since: number;
  /** False: it waits for the provider. */
  readonly joined: boolean;
  /** Who connected; null: that can't be known. */
  readonly peer: Peer | null;
  readonly toProvider: number;
  readonly toConsumer: number;
  readonly about: ConnectionAbout;
}

/** `reason`: as in `closes`, or `closed`. */
export type OnConnectionEnd = (connection: OpenConnection, reason: string) => void;

/** What one connection to the provider has shown, that was made to try the link. */
export interface Probed {
  /** What the provider did, as a phrase. */
  readonly found: string;
  /** False: somebody listens there, but that its program takes connections was not seen. */
  readonly isProven: boolean;
}

/** Bytes of one connection, as they were read. */
export interface Passed {
  /** Of its link: as the place of an OpenConnection, `3.17`; of HTTP `p.5`, a connection to the provider. */
  readonly connection: string;
  readonly to: 'provider' | 'consumer';
  /** Microseconds since 1970. */
  readonly time: number;
  /** Descriptors that went with them. */
  readonly fds: number;
  /** Valid during the call. */
  readonly bytes: Buffer;
}

/** Who is shown what passes. */
export interface TapSink {
  /** There is no room: what comes may be left out, as told by `lost`. */
  readonly isFull: boolean;
  take(passed: Passed): void;
  /** So many bytes were left out. */
  lost(bytes: number): void;
  /** Calls it once there is room again. */
  whenRoom(go: () => void): void;
}

/** How a provider is made worse than it is. */
export interface Fault {
  /** How late what it says is, in milliseconds. */
  readonly delayMs: number;
  /** Bytes a second of each connection, each way; 0: as they come. */
  readonly rate: number;
  /** New connections are refused. */
  readonly refuse: boolean;
  /**
   * Of connections in the order in which they reach the provider, again from the first after the last: after how many of
   * its bytes each breaks off, 2 ** 32 - 1: never. Empty: none does.
   */
  readonly resets: Uint32Array;
}

/** It may be ended before it has begun. Neither promise rejects. */
export interface Tap {
  /** What passes from then on is shown. */
  readonly begun: Promise<unknown>;
  /** Resolves when all was shown that had passed. */
  end(): Promise<unknown>;
}

/** The two stages of a detachment; neither promise rejects. */
export interface Detached {
  /** Nothing of the link is in the consumer any more: its target is free. */
  readonly removed: Promise<void>;
  /** Its last connection has ended too. */
  readonly done: Promise<void>;
}

export interface AttachedLink {
  /** Generation of the consumer (see `Attacher.generation`) when the link was attached. */
  readonly consumerGeneration: number;
  /** The provider has another pid: new connections go there. The listener stays. Never rejects. */
  retarget(link: Link, stamp: number): Promise<void>;
  /** The current counters; makes no system call. */
  stats(): LinkStats;
  /** Further fields of the link in the wire form, with their current values. */
  shown(): Readonly<Record<string, unknown>>;
  /** Those that are open, in no order. Never rejects. */
  connections(): Promise<OpenConnection[]>;
  /** Tells of each connection that ends, until the returned function is called. */
  watch(onEnd: OnConnectionEnd): () => void;
  /**
   * Makes one connection to the provider as those of the link are made, sends nothing that has an effect, and closes it.
   * No counter has it. Never rejects.
   */
  probe(): Promise<Result<Probed>>;
  /** Shows what passes. There is one at a time. */
  tap(sink: TapSink): Tap;
  /** Until the returned function is called. There is one at a time. */
  fault(fault: Fault): () => void;
  /** Removes the socket now; closes connections that are open after `drainMs`. */
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
