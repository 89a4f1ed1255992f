/**
 * The plugin contract. A plugin makes links of some types real through its host, and never sees a pid, a
 * namespace or a path in /proc. Whatever it asked its host for ends with the link: what a plugin forgets
 * to close, the host closes.
 */
import type { Link } from '../graph/link.js';
import type { LinkError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import type { SocketStream } from '../relay/byte-stream.js';
import type { Channel } from '../relay/channel.js';
import type { TransferOptions, TransferResult } from '../relay/transfer.js';
import type { Device, DeviceOptions } from './device/device.js';
import type { OnDemand } from './on-demand.js';

/**
 * A byte stream with descriptors, in JavaScript's hands; paused until `resume`, so that nothing is lost before
 * somebody listens. See relay/channel.ts for its methods.
 */
export type { Channel } from '../relay/channel.js';

export interface Plugin {
  readonly types: readonly string[];
  /** Rejects with an XConnectError where the link can't be made. */
  attach(link: Link, host: LinkHost): Promise<Attachment>;
}

export interface Attachment {
  /** The link leaves: stop accepting, let open connections go on for `drainMs` milliseconds, then resolve. */
  detach(drainMs: number): Promise<void>;
}

/** What every plugin needs; the interfaces that it extends are what some protocols need beside. */
export interface LinkHost extends StreamHost, ProviderHost {
  /** Child logger of this link. */
  readonly log: Logger;
  /** Names on the hosted bus that are started when they are called; null: the link is to no such bus. */
  readonly onDemand: OnDemand | null;
  /** Counts of the plugin's own, beside those of the relay. */
  readonly tally: Tally;
  /**
   * Plants a socket at the link's target and joins each connection to the provider's, natively. Rejects with an
   * XConnectError where the target can't be had; so do `listen` and `share`.
   */
  forward(options: ForwardOptions): Promise<Attachment>;
  /** Plants a socket at the link's target; each connection is the plugin's, to answer, join or close. */
  listen(onConnection: (client: Channel) => void | Promise<void>): Promise<Attachment>;
  /**
   * Binds the target's IP:PORT once for all links of this consumer that ask with the same `make`; it is there
   * until the last of them is gone. Resolves with what `make` gave for the first. With another `make` the address is
   * taken.
   */
  share<T extends Acceptor>(make: () => T): Promise<T>;
  /**
   * Connects to the provider's socket as the link's identity, waiting for it as configured, or not at all. The channel
   * is the plugin's. Never rejects.
   */
  connect(options?: { readonly wait?: boolean }): Promise<Channel | LinkError>;
  /** The same, and who that identity is. */
  connectAs(options?: { readonly wait?: boolean }): Promise<Connection | LinkError>;
  /** Hands two channels to the native relay, with what they still hold; the plugin is done with both. */
  join(client: End, provider: End, options: Pick<ForwardOptions, 'fds'>): void;
  /** Moves bytes natively, once, between two paused channels that stay the plugin's (relay/transfer.ts). */
  transfer(source: End, sink: End, options: TransferOptions): Promise<TransferResult>;
}

export type SocketType = 'stream' | 'seqpacket' | 'dgram';

export interface ForwardOptions {
  readonly type: SocketType;
  /** false: bytes only, spliced; a descriptor that is sent is dropped. Default true. */
  readonly fds?: boolean;
  /** Another of the provider's sockets than the link's, said for each connection. */
  readonly through?: () => Promise<string | LinkError>;
}

/** What takes the connections of a shared listener, each the plugin's to answer, join or close. */
export interface Acceptor {
  /** Takes the channel. */
  onConnection(client: Channel): void | Promise<void>;
  /** The last link has gone: ends what is still open after `drainMs` milliseconds, and resolves then. */
  close?(drainMs: number): Promise<void>;
}

/** Who the consumer is to its provider, as the provider's container counts. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/** One that a plugin asked for. */
export interface Connection {
  /** The plugin's. */
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

/** One connection more that ended for this reason. */
export function countClose({ closes }: Pick<Tally, 'closes'>, reason: string): void {
  closes[reason] = (closes[reason] ?? 0) + 1;
}

/** A connection in either of its forms. */
export type End = Channel | SocketStream;

/** For protocols that are read here (HTTP). A plugin that leaves its bytes to the relay needs none of it. */
export interface StreamHost {
  /** The same connection as a stream of bytes, see relay/byte-stream.ts. Takes the channel; the stream is the plugin's. */
  bytes(channel: Channel): SocketStream;
  /** Connections go to another container from now on. */
  onProviderChange(listener: () => void): void;
  /** Where connections belong to no link, its requests are counted as such by the plugin. */
  readonly requests: { active: number; total: number };
  /** The provider is there and does not do its work, or (null) does: shown as the link's state. */
  reportHealth(error: LinkError | null): void;
  /** A file of the host's folder of certificates, by its path below that; at most 64 KiB. Never rejects. */
  readCertificate(name: string): Promise<Buffer | LinkError>;
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
  /** Takes the socket out of the provider and has `hangup` hang up. Idempotent; never rejects. */
  remove(): Promise<void>;
}

/** For types that look at their provider or reach into it: devices, displays. */
export interface ProviderHost {
  /**
   * From now on the link's state is what `look` says: asked when the provider changed, and every 2 s. `look` must not
   * reject.
   */
  watch(look: () => Promise<Seen>): void;
  /**
   * From now on the link is established only once `check` has found that the provider lets its consumer in: asked when it
   * can be reached, and when the returned function is called because it let one in no more.
   */
  verify(check: () => Promise<LinkError | null>): () => void;
  /** Further fields of the link in `GET /xconnect-graph`. */
  show(fields: Readonly<Record<string, unknown>>): void;
  /**
   * Planted in the provider, gone with the link; or why it can't be. `onLost`: the provider sees it there no longer.
   * Never rejects.
   */
  listenAtProvider(onLost: () => void): Promise<ProviderListener | LinkError>;
  /** The provider's device, looked for from now on; the link's state follows it. */
  device(options: DeviceOptions): Device;
}
