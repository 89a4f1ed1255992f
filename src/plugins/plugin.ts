/**
 * The plugin contract. A plugin makes links of some types real through its host, and never sees a pid, a
 * namespace or a path in /proc. Whatever it asked its host for ends with the link: what a plugin forgets
 * to close, the host closes.
 */
import type { Link } from '../graph/link.js';
import type { LinkError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import type { TransferOptions, TransferResult } from '../relay/transfer.js';
import type { Acceptor, Channel, Connection, ForwardOptions, Tally } from './connection.js';
import type { OnDemand } from './on-demand.js';
import type { ProviderHost } from './provider-host.js';
import type { End, StreamHost } from './stream-host.js';

export type * from './connection.js';
export type { ProviderListener, Seen } from './provider-host.js';

export interface Attachment {
  /** The link leaves: stop accepting, let open connections go on for `drainMs` milliseconds, then resolve. */
  detach(drainMs: number): Promise<void>;
}

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

export interface Plugin {
  readonly types: readonly string[];
  /** Rejects with an XConnectError where the link can't be made. */
  attach(link: Link, host: LinkHost): Promise<Attachment>;
}
