/** What passes between a plugin and its host: types of the contract in plugin.ts, which has them all. */
import type { LinkError } from '../kernel/errors.js';
import type { Channel } from '../relay/channel.js';

export type SocketType = 'stream' | 'seqpacket' | 'dgram';

export interface ForwardOptions {
  readonly type: SocketType;
  /** false: bytes only, spliced; a descriptor that is sent is dropped. Default true. */
  readonly fds?: boolean;
  /** Another of the provider's sockets than the link's, said for each connection. */
  readonly through?: () => Promise<string | LinkError>;
}

/**
 * A byte stream with descriptors, in JavaScript's hands; paused until `resume`, so that nothing is lost before
 * somebody listens. See relay/channel.ts for its methods.
 */
export type { Channel } from '../relay/channel.js';

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
