/**
 * The plugin contract (docs/plugins.md). A plugin makes the links of some types work by means of its host, and never
 * sees a pid, a namespace or a path in /proc. All that a plugin gets from its host ends with the link: the host closes
 * what the plugin does not.
 */
import type { Link } from '../graph/link.js';
import type { DurationCount } from '../kernel/durations.js';
import type { LinkError } from '../kernel/errors.js';
import type { SocketAddress } from '../kernel/ip-address.js';
import type { Logger } from '../kernel/log.js';
import type { Result } from '../kernel/result.js';
import type { ConnectionAbout, Probed } from '../mesh/attacher.js';
import type { SocketStream } from '../relay/byte-stream.js';
import type { Channel } from '../relay/channel.js';
import type { TransferOptions, TransferResult } from '../relay/transfer.js';
import type { Device, DeviceOptions } from './device/device.js';
import type { OnDemand } from './on-demand.js';

/**
 * A stream socket with descriptors, read and written by JavaScript. It is paused until `resume`, so nothing is lost
 * before there is a listener. See relay/channel.ts for its methods.
 */
export type { Channel } from '../relay/channel.js';

/** A JSON Schema by the name of each option; its `description` says what is expected. */
type Options = Readonly<Record<string, Readonly<Record<string, unknown>>>>;
export interface OptionsOfEntries {
  readonly service?: Options;
  readonly requirement?: Options;
}

export interface Plugin {
  /** Of links, as the consumer sees them; those of its own too, which manifests may have then. */
  readonly types: readonly string[];
  /** Only links of those types with one of these interfaces; another plugin serves the rest. Absent: all. */
  readonly interfaces?: readonly string[];
  /**
   * What entries of those types may say beside what all may, by name. It is in the link's `extra`: checked where this
   * daemon or pv-appengine read the manifest, but not in the graph of a foreign runtime.
   */
  readonly options?: OptionsOfEntries;
  /** Rejects with an XConnectError where the link can't be made. */
  attach(link: Link, host: LinkHost): Promise<Attachment>;
}

export interface Attachment {
  /** The link ends: accept no more, let open connections go on for up to `drainMs` milliseconds, then resolve. */
  detach(drainMs: number): Promise<void>;
}

/** What a plugin knows of a connection in its hands. */
export interface Described extends ConnectionAbout {
  /** Bytes, where the plugin reads a channel: of a stream of bytes the host knows them. */
  readonly toProvider?: number;
  readonly toConsumer?: number;
  /** Why it has ended. */
  readonly reason?: string;
}

/** What every plugin needs. The interfaces that it extends are for some protocols only. */
export interface LinkHost extends StreamHost, ProviderHost {
  /** The logger of this link. */
  readonly log: Logger;
  /** Names on the hosted bus that are started when they are called; null: the link is to no such bus. */
  readonly onDemand: OnDemand | null;
  /** Counts by the plugin, beside those by the relay. */
  readonly tally: Tally;
  /**
   * Plants a socket at the link's target, and has the relay join each connection to the provider. Rejects with an
   * XConnectError where the target can't be had; so do `listen` and `share`.
   */
  forward(options: ForwardOptions): Promise<Attachment>;
  /** Plants a socket at the link's target. Each connection is the plugin's, which answers, joins or closes it. */
  listen(onConnection: (client: Channel) => void | Promise<void>): Promise<Attachment>;
  /**
   * Binds the target's IP:PORT once for all links of this consumer that pass the same function `make`, until the last
   * of them has gone. Resolves with what `make` returned for the first one. For another function the address is taken.
   */
  share<T extends ConnectionHandler>(make: () => T): Promise<T>;
  /**
   * Connects to the provider's socket as the link's identity. Waits for the provider as configured, or (`wait: false`)
   * not at all. The channel is the plugin's. Never rejects.
   */
  connect(options?: { readonly wait?: boolean }): Promise<Result<Channel>>;
  /** The same, and that identity. */
  connectAs(options?: { readonly wait?: boolean }): Promise<Result<Connection>>;
  /** Has the relay join two connections, which it takes, with the bytes that they still hold. */
  join(client: End, provider: End, options: JoinOptions): void;
  /**
   * What a connection that `listen` gave is about: `about` is called when somebody wants to see it, and when it has ended.
   */
  describe(client: End, about: () => Described): void;
  /**
   * A connection of a shared listener is this link's, too, until the returned function is called with the reason why it
   * has ended.
   */
  shares(remote: SocketAddress, about: () => Described): (reason: string) => void;
  /** Has the relay move bytes, once, between two paused connections that stay the plugin's (relay/transfer.ts). */
  transfer(source: End, sink: End, options: TransferOptions): Promise<TransferResult>;
}

export interface JoinOptions extends Pick<ForwardOptions, 'fds'> {
  /** What the protocol knows of the connection, for who wants to see it. */
  readonly about?: ConnectionAbout;
}

export type SocketType = 'stream' | 'seqpacket' | 'dgram';

export interface ForwardOptions {
  readonly type: SocketType;
  /** False: bytes only, which are spliced; descriptors are dropped. Default true. */
  readonly fds?: boolean;
  /** Asked for each connection: the path of the provider's socket to join it to, in place of the link's. */
  readonly through?: () => Promise<Result<string>>;
}

/** Takes the connections of a shared listener: each is the plugin's, which answers, joins or closes it. */
export interface ConnectionHandler {
  /** Takes the channel. */
  onConnection(client: Channel): void | Promise<void>;
  /** The last link has gone: ends what is still open after `drainMs` milliseconds, and resolves then. */
  close?(drainMs: number): Promise<void>;
}

/** The ids that the provider sees its consumer as, in the provider's user namespace. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/** A connection to the provider. */
export interface Connection {
  /** The plugin's. */
  readonly channel: Channel;
  /** The identity of the socket's credentials: it was looked up at the time of the connection. */
  readonly identity: Identity;
}

/** What a plugin counts of its link, where the relay does not. The numbers only grow. */
export interface Tally {
  /** Bytes. */
  toProvider: number;
  toConsumer: number;
  /** Ended connections by reason. */
  readonly closes: Record<string, number>;
  /** Messages that were denied, by the rule that would allow them. The plugin limits the number of keys. */
  readonly denied: Record<string, number>;
  /** The same for messages that would have been denied, in audit mode. */
  readonly audited: Record<string, number>;
  /** How long requests took; absent: nobody wants to know. */
  readonly requestTimes?: DurationCount;
}

/** One more connection has ended for this reason. */
export function countClose({ closes }: Pick<Tally, 'closes'>, reason: string): void {
  closes[reason] = (closes[reason] ?? 0) + 1;
}

/** A connection in either of its forms. */
export type End = Channel | SocketStream;

/** For protocols that the plugin reads (HTTP). A plugin that leaves all bytes to the relay needs none of it. */
export interface StreamHost {
  /**
   * The same connection as a stream of bytes, see relay/byte-stream.ts. Takes the channel; the stream is the plugin's.
   */
  bytes(channel: Channel): SocketStream;
  /** Calls `listener` when the provider is another container: new connections are to that one. */
  onProviderChange(listener: () => void): void;
  /** Requests, counted by the plugin where connections are shared by links. `active`: under way. */
  readonly requests: { active: number; total: number };
  /** The provider can be reached but does not do its work; null: it does. It becomes the link's state. */
  reportHealth(error: LinkError | null): void;
  /** A file in the folder of certificates (`--certificates`), by its path in there; at most 64 KiB. Never rejects. */
  readCertificate(name: string): Promise<Result<Buffer>>;
}

/** What a look at the provider found. `error`: null: nothing is wrong. `waits`: the error may pass by itself. */
export interface Seen {
  readonly error: LinkError | null;
  readonly waits?: boolean;
}

/** A listening stream socket inside the provider, for protocols that hand one over. */
export interface ProviderListener {
  /** The listener. The plugin's. */
  readonly fd: number;
  /** A descriptor that hangs up when the listener is removed. The plugin's. */
  readonly hangup: number;
  /** The socket's path inside the provider. */
  readonly path: string;
  /** Removes the socket from the provider, which hangs up `hangup`. Idempotent; never rejects. */
  remove(): Promise<void>;
}

/** For types that have to look at their provider, or put something into it (devices, displays). */
export interface ProviderHost {
  /**
   * The link's state is what `look` finds, from now on. It is called when the provider has changed, and every 2 s. It
   * must not reject.
   */
  watch(look: () => Promise<Seen>): void;
  /**
   * The link is established only when `check` finds that the provider lets the consumer in, from now on. It is called
   * when the provider can be reached, and when the plugin calls the returned function since the provider did not let
   * one in.
   */
  verify(check: () => Promise<LinkError | null>): () => void;
  /**
   * How the link is tried when somebody asks, in place of a connection over which nothing is sent. `probe` has no effect
   * on the provider, and must not reject.
   */
  probeWith(probe: () => Promise<Result<Probed>>): void;
  /** Further fields of the link in `GET /xconnect-graph`. */
  show(fields: Readonly<Record<string, unknown>>): void;
  /**
   * Plants a listener in the provider, which is removed with the link. `onLost`: called when the provider can't see the
   * socket there any more. Never rejects.
   */
  listenAtProvider(onLost: () => void): Promise<Result<ProviderListener>>;
  /** The provider's device, which is looked for from now on. It decides the link's state. */
  device(options: DeviceOptions): Device;
}
