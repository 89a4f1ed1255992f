/**
 * The plugin contract. A plugin makes links of some types real through its host, and never sees a pid, a
 * namespace or a path in /proc. Whatever it asked its host for ends with the link: what a plugin forgets
 * to close, the host closes.
 */
import type { Link } from '../graph/link.js';
import type { LinkError } from '../kernel/errors.js';
import type { Channel } from '../relay/channel.js';
import type { TransferOptions, TransferResult } from '../relay/transfer.js';
import type { Device, DeviceOptions } from './device/device.js';
import type { End, StreamHost } from './stream-host.js';

export interface Attachment {
  /** The link leaves: stop accepting, let open connections go on for `drainMs`, then resolve. */
  detach(drainMs: number): Promise<void>;
}

export type SocketType = 'stream' | 'seqpacket' | 'dgram';

export interface ForwardOptions {
  readonly type: SocketType;
  /** false: bytes only, spliced; a descriptor that is sent is dropped. Default true. */
  readonly fds?: boolean;
  /** Another of the provider's sockets than the link's, said for each connection. */
  readonly through?: () => Promise<string | LinkError>;
}

/** What a look at the provider found: nothing wrong, or what; `waits`: that may mend by itself. */
export interface Seen {
  readonly error: LinkError | null;
  readonly waits?: boolean;
}

/** A listening stream socket beside the provider's own, for protocols that hand one over. */
export interface ProviderListener {
  /** The plugin's, both: the listener, and one that hangs up when it is removed. */
  readonly fd: number;
  readonly hangup: number;
  /** Where it is, inside the provider. */
  readonly path: string;
  remove(): Promise<void>;
}

/**
 * A byte stream with descriptors, in JavaScript's hands; paused until `resume`, so that nothing is lost before
 * somebody listens. See relay/channel.ts for its methods.
 */
export type { Channel } from '../relay/channel.js';

/** What takes the connections of a shared listener, each the plugin's to answer, join or close. */
export interface Acceptor {
  onConnection(client: Channel): void | Promise<void>;
  /** The last link has gone: ends what is still open after `drainMs`, and resolves then. */
  close?(drainMs: number): Promise<void>;
}

/** Who the consumer is to its provider, as the provider's container counts. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

export interface Connection {
  readonly channel: Channel;
  /** What the provider's kernel says of who connected: of the same moment as the connection. */
  readonly identity: Identity;
}

/** What a plugin counts of its link itself, where the relay does not: numbers that only ever grow. */
export interface Tally {
  /** Bytes. */
  toProvider: number;
  toConsumer: number;
  /** Ended connections by reason. */
  readonly closes: Record<string, number>;
  /** Refused messages by what would allow them. Bounded by the plugin. */
  readonly denied: Record<string, number>;
  /** The same of those that would have been refused. */
  readonly audited: Record<string, number>;
}

export interface LinkHost extends StreamHost {
  /** Child logger of this link. */
  readonly log: import('../kernel/log.js').Logger;
  /** Names on the hosted bus that are started when they are called; null: the link is to no such bus. */
  readonly onDemand: import('./on-demand.js').OnDemand | null;
  readonly tally: Tally;
  /** Plants a socket at the link's target and joins each connection to the provider's, natively. */
  forward(options: ForwardOptions): Promise<Attachment>;
  /** Plants a socket at the link's target; each connection is the plugin's, to answer, join or close. */
  listen(onConnection: (client: Channel) => void | Promise<void>): Promise<Attachment>;
  /**
   * Binds the target's IP:PORT once for all links of this consumer that ask with the same `make`; it is there
   * until the last of them is gone. Resolves with what `make` gave for the first.
   */
  share<T extends Acceptor>(make: () => T): Promise<T>;
  /** Connects to the provider's socket as the link's identity, waiting for it as configured, or not at all. */
  connect(options?: { readonly wait?: boolean }): Promise<Channel | LinkError>;
  /** The same, and who that identity is. */
  connectAs(options?: { readonly wait?: boolean }): Promise<Connection | LinkError>;
  /** Hands two channels to the native relay, with what they still hold; the plugin is done with both. */
  join(client: End, provider: End, options: Pick<ForwardOptions, 'fds'>): void;
  /** Moves bytes natively, once, between two paused channels that stay the plugin's (relay/transfer.ts). */
  transfer(source: End, sink: End, options: TransferOptions): Promise<TransferResult>;
  /** From now on the link's state is what `look` says: asked when the provider changed, and every 2 s. */
  watch(look: () => Promise<Seen>): void;
  /** Further fields of the link in `GET /xconnect-graph`. */
  show(fields: Readonly<Record<string, unknown>>): void;
  /** Planted in the provider, gone with the link. */
  listenAtProvider(): Promise<ProviderListener | LinkError>;
  /** The provider's device, looked for from now on; the link's state follows it. */
  device(options: DeviceOptions): Device;
}

export interface Plugin {
  readonly types: readonly string[];
  /** Rejects with an XConnectError where the link can't be made. */
  attach(link: Link, host: LinkHost): Promise<Attachment>;
}
