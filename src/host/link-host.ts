/**
 * What a plugin sees of the machine: one link's two ends, and nothing else (the LinkHost of plugins/plugin.ts).
 *
 * Everything that was asked for is remembered here and ends with the link, whatever the plugin forgets:
 * `unplant` frees the target, `close` ends what is open. Listeners and connections are made by the broker, bytes
 * are moved by the relay; nothing here sees a pid or a namespace.
 */
import { closeSync } from 'node:fs';
import type { Broker } from '../broker/client.js';
import { errnoName } from '../broker/protocol.js';
import type { Link } from '../graph/link.js';
import type { LinkError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import type { LinkStats } from '../mesh/attacher.js';
import { NO_STATS, plus } from '../mesh/stats.js';
import type { Acceptor, Attachment, ForwardOptions, LinkHost } from '../plugins/plugin.js';
import type { End } from '../plugins/stream-host.js';
import type { SocketStream } from '../relay/byte-stream.js';
import type { Channel } from '../relay/channel.js';
import type { Relay, RelayLink, RelayLinkEvents } from '../relay/relay.js';
import type { TransferOptions, TransferResult } from '../relay/transfer.js';
import { acceptEach } from './accepting.js';
import { accessOf, introduction } from './access.js';
import { ChannelSet } from './channel-set.js';
import type { Container } from './containers.js';
import { certificateError } from './errno.js';
import type { Provider } from './provider.js';
import type { Membership, SharedListeners } from './shared-listeners.js';
import { type Listener, listenAt } from './target.js';
import { Waiting } from './waiting.js';

/** Between two attempts at what may work in a moment. */
const AGAIN_MS = 50;

export interface LinkHostOptions {
  /** How long a connection waits for its provider, in milliseconds. */
  readonly patienceMs: number;
  /** Of one listener; more wait in its backlog. */
  readonly maxConnections: number;
}

export interface LinkHostParts {
  readonly broker: Broker;
  readonly relay: Relay;
  readonly shared: SharedListeners;
  readonly consumer: Container;
  readonly provider: Provider;
  readonly log: Logger;
}

export class OneLinkHost implements LinkHost {
  readonly log: Logger;
  readonly #parts: LinkHostParts;
  readonly #provider: Provider;
  readonly #link: Link;
  readonly #options: LinkHostOptions;
  /** How to free the target. */
  readonly #removes = new Set<() => Promise<void>>();
  readonly #memberships = new Set<Membership<Acceptor>>();
  readonly #relayLinks = new Set<RelayLink>();
  readonly #joiners = new Map<boolean, RelayLink>();
  readonly #clients = new ChannelSet();
  readonly #providers = new ChannelSet();
  readonly #onProviderChange = new Set<() => void>();
  readonly #requests = { active: 0, total: 0 };
  #closed = false;

  constructor(parts: LinkHostParts, link: Link, options: LinkHostOptions) {
    this.log = parts.log;
    this.#parts = parts;
    this.#provider = parts.provider;
    this.#link = link;
    this.#options = options;
  }

  async forward(options: ForwardOptions): Promise<Attachment> {
    const listener = await this.#listenAt(options);
    const waiting = new Waiting(this.#options.patienceMs);
    const answer = async (connection: number) => {
      const request = await this.#provider.request(options.type);
      if (Buffer.isBuffer(request)) relayLink.resolve(connection, request);
      else if (request.code === 'provider-not-running') waiting.add(connection);
      else relayLink.resolve(connection, null);
    };
    const relayLink = this.#relayLink(options, {
      onPending: (connection) => void answer(connection),
      onUpstream: (errno) => this.#provider.reached(errno === 0 ? null : errnoName(errno)),
    });
    this.#onProviderChange.add(() => {
      if (this.#provider.hasFixedIdentity) {
        relayLink.retarget(this.#provider.standingRequest(options.type));
        return;
      }
      for (const connection of waiting.take()) void answer(connection);
    });
    if (this.#provider.hasFixedIdentity) {
      relayLink.listen(listener.fd, 'forward', this.#provider.standingRequest(options.type));
    } else {
      relayLink.listen(listener.fd, 'ask', null);
    }
    return this.#attachment(listener, relayLink);
  }

  async listen(onConnection: (client: Channel) => void | Promise<void>): Promise<Attachment> {
    const listener = await this.#listenAt({ type: 'stream' });
    const relayLink = this.#relayLink(
      { type: 'stream' },
      acceptEach(this.#clients, onConnection, this.log),
    );
    relayLink.listen(listener.fd, 'hand', null);
    return this.#attachment(listener, relayLink);
  }

  async share<T extends Acceptor>(make: () => T): Promise<T> {
    const { consumer, shared, log } = this.#parts;
    const membership = await shared.enter(
      {
        consumer,
        link: this.#link,
        listen: () => this.#listenAt({ type: 'stream' }),
        relayLink: (channels, acceptor) =>
          this.#newRelayLink(
            { type: 'stream' },
            acceptEach(channels, (client) => acceptor.onConnection(client), log),
            false,
          ),
      },
      make,
    );
    this.#memberships.add(membership);
    this.#removes.add(() => membership.leave());
    return membership.acceptor;
  }

  async connect(): Promise<Channel | LinkError> {
    const deadline = Date.now() + this.#options.patienceMs;
    for (;;) {
      const made = await this.#provider.connect('stream', Math.max(1, deadline - Date.now()));
      if (typeof made === 'number') return this.#introduced(made);
      if (!made.again || this.#closed || Date.now() >= deadline) return made.error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  bytes(channel: Channel): SocketStream {
    return ChannelSet.bytes(channel);
  }

  join(client: End, provider: End, options: Pick<ForwardOptions, 'fds'>): void {
    client.pause();
    provider.pause();
    const hand = async () => {
      const [toConsumer, toProvider] = [await unsentOf(client), await unsentOf(provider)];
      const [consumerEnd, providerEnd] = [client.release(), provider.release()];
      if (consumerEnd >= 0 && providerEnd >= 0) {
        const joiner = this.#joiner(options.fds ?? true);
        joiner.join(consumerEnd, providerEnd, { toConsumer, toProvider });
      } else if (consumerEnd >= 0) {
        closeSync(consumerEnd); // the other one was closed meanwhile
      } else if (providerEnd >= 0) {
        closeSync(providerEnd);
      }
    };
    void hand();
  }

  transfer(source: End, sink: End, options: TransferOptions): Promise<TransferResult> {
    return this.#joiner(false).transfer(source.fd, sink.fd, options);
  }

  onProviderChange(listener: () => void): void {
    this.#onProviderChange.add(listener);
  }

  requestBegan(): void {
    this.#requests.active++;
    this.#requests.total++;
  }

  requestEnded(): void {
    this.#requests.active--;
  }

  reportHealth(error: LinkError | null): void {
    this.#provider.reportHealth(error);
  }

  async readCertificate(name: string): Promise<Buffer | LinkError> {
    const read = await this.#parts.broker.readCertificate(`/${name}`);
    return read.ok ? read.value : certificateError(name, read.errno);
  }

  /** The container that new connections go to is another one, or gone. */
  providerChanged(): void {
    for (const listener of this.#onProviderChange) listener();
  }

  /** A connection that was the plugin's and then joined is one connection. */
  stats(): LinkStats {
    const joiners = [...this.#joiners.values()];
    const all = [...this.#relayLinks].map((relayLink) => {
      const stats = relayLink.stats();
      return joiners.includes(relayLink) ? { ...stats, total: 0 } : stats;
    });
    const sum = all.reduce(plus, NO_STATS);
    const { in: toConsumer, out: toProvider } = this.#providers.bytes;
    const ours = { active: this.#clients.size, total: 0, toConsumer, toProvider, closes: {} };
    const requests = { ...NO_STATS, ...this.#requests };
    return [ours, requests].reduce(plus, sum);
  }

  /** Frees the target. Never rejects; more than one call does no harm. */
  async unplant(): Promise<void> {
    await Promise.all([...this.#removes].map((remove) => remove()));
  }

  /** Ends what is still open after `drainMs`, and resolves then, or as soon as nothing is left. */
  async close(drainMs: number): Promise<void> {
    await this.unplant();
    await Promise.all([
      this.#clients.drain(drainMs),
      this.#providers.drain(drainMs),
      ...[...this.#memberships].map((membership) => membership.close(drainMs)),
      ...[...this.#relayLinks].map((link) => link.close(drainMs)),
    ]);
    this.#closed = true;
    this.#onProviderChange.clear();
  }

  #listenAt({ type }: ForwardOptions): Promise<Listener> {
    const { broker, consumer, log } = this.#parts;
    return listenAt(broker, consumer, this.#link, type, log);
  }

  #attachment(listener: Listener, relayLink: RelayLink): Attachment {
    const remove = () => listener.remove(relayLink);
    this.#removes.add(remove);
    return {
      detach: async (drainMs) => {
        await remove();
        await relayLink.close(drainMs);
      },
    };
  }

  #relayLink(options: ForwardOptions, events: RelayLinkEvents): RelayLink {
    const relayLink = this.#newRelayLink(options, events);
    this.#relayLinks.add(relayLink);
    return relayLink;
  }

  /** Not ended with this link. `own`: its connections are this link's, so that what it says of clients holds. */
  #newRelayLink(
    { type, fds = true }: ForwardOptions,
    events: RelayLinkEvents,
    own = true,
  ): RelayLink {
    const { patienceMs, maxConnections } = this.#options;
    const consumerHandle = this.#parts.consumer.handle;
    const limit = own ? this.#link.maxConnections : undefined;
    const most = Math.min(maxConnections, limit ?? maxConnections);
    const access = own ? accessOf(this.#link) : {};
    return this.#parts.relay.link(
      { type, fds, patienceMs, maxConnections: most, consumerHandle, ...access },
      events,
    );
  }

  #joiner(fds: boolean): RelayLink {
    const joiner = this.#joiners.get(fds) ?? this.#relayLink({ type: 'stream', fds }, {});
    this.#joiners.set(fds, joiner);
    return joiner;
  }

  /** A connection of ours to the provider, which may have to be told that it is nobody else's. */
  #introduced(fd: number): Channel {
    const channel = this.#providers.open(fd);
    const header = introduction(this.#link);
    if (header) channel.write(header);
    return channel;
  }
}

/** What is still to be sent to it first; nothing where it had descriptors to wait for. */
async function unsentOf(end: End): Promise<Buffer> {
  const unsent = end.takeUnsent();
  if (unsent) return unsent;
  if ('flushed' in end) await end.flushed();
  return Buffer.alloc(0);
}
