/**
 * What a plugin sees of the machine: one link's two ends, and nothing else (the LinkHost of plugins/plugin.ts).
 *
 * Everything that was asked for is remembered here and ends with the link, whatever the plugin forgets:
 * `unplant` frees the target, `close` ends what is open. Sockets are planted and reached by the broker, bytes
 * are moved by the relay; nothing here sees a pid or a namespace.
 */
import type { Broker } from '../broker/client.js';
import { errnoName } from '../broker/protocol.js';
import type { Link } from '../graph/link.js';
import type { LinkError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import type { LinkStats } from '../mesh/attacher.js';
import { NO_STATS, plus } from '../mesh/stats.js';
import type {
  Attachment,
  Connection,
  ForwardOptions,
  LinkHost,
  SocketType,
  Tally,
} from '../plugins/plugin.js';
import { Channel } from '../relay/channel.js';
import type { Relay, RelayLink, RelayLinkEvents } from '../relay/relay.js';
import type { Container } from './containers.js';
import { listenError } from './errno.js';
import type { Provider } from './provider.js';

/** Between two attempts at what may work in a moment. */
const AGAIN_MS = 50;

export interface LinkHostOptions {
  /** How long a connection waits for its provider, in milliseconds. */
  readonly patienceMs: number;
  /** Of one listener; more wait in its backlog. */
  readonly maxConnections: number;
}

interface Planted {
  readonly fd: number;
  readonly remove: () => Promise<void>;
}

export class OneLinkHost implements LinkHost {
  readonly log: Logger;
  readonly tally: Tally = { toProvider: 0, toConsumer: 0, closes: {}, denied: {}, audited: {} };
  readonly #link: Link;
  readonly #broker: Broker;
  readonly #relay: Relay;
  readonly #consumer: Container;
  readonly #provider: Provider;
  readonly #options: LinkHostOptions;
  readonly #plants = new Set<() => Promise<void>>();
  readonly #relayLinks = new Set<RelayLink>();
  readonly #joiners = new Map<boolean, RelayLink>();
  readonly #channels = new Set<Channel>();
  readonly #clients = new Set<Channel>();
  readonly #onProviderChange = new Set<() => void>();
  #emptied: (() => void)[] = [];
  #closed = false;

  constructor(
    parts: { broker: Broker; relay: Relay; consumer: Container; provider: Provider; log: Logger },
    link: Link,
    options: LinkHostOptions,
  ) {
    this.#broker = parts.broker;
    this.#relay = parts.relay;
    this.#consumer = parts.consumer;
    this.#provider = parts.provider;
    this.log = parts.log;
    this.#link = link;
    this.#options = options;
  }

  async forward(options: ForwardOptions): Promise<Attachment> {
    const planted = await this.#plant(options.type);
    const waiting = new Waiting(this.#options.patienceMs);
    const answer = async (connection: number) => {
      const request = await this.#provider.request(options.type);
      if (Buffer.isBuffer(request)) relayLink.resolve(connection, request);
      else if (request.code === 'provider-not-running') waiting.add(connection);
      else relayLink.resolve(connection, null);
    };
    const relayLink = this.#relayLink(options.type, options.fds ?? true, {
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
      relayLink.listen(planted.fd, 'forward', this.#provider.standingRequest(options.type));
    } else {
      relayLink.listen(planted.fd, 'ask', null);
    }
    return attachment(planted, relayLink);
  }

  async listen(onConnection: (client: Channel) => void | Promise<void>): Promise<Attachment> {
    const planted = await this.#plant('stream');
    const relayLink = this.#relayLink('stream', true, {
      onHanded: async (fd) => {
        const client = this.#channel(fd);
        this.#clients.add(client);
        try {
          await onConnection(client);
        } catch (thrown) {
          this.log.error({ err: thrown }, 'a bug in the plugin ended one connection');
          client.close();
        }
      },
    });
    relayLink.listen(planted.fd, 'hand', null);
    return attachment(planted, relayLink);
  }

  async connect(): Promise<Channel | LinkError> {
    const made = await this.connectAs();
    return 'code' in made ? made : made.channel;
  }

  async connectAs(): Promise<Connection | LinkError> {
    const deadline = Date.now() + this.#options.patienceMs;
    for (;;) {
      const made = await this.#provider.connect('stream');
      if ('fd' in made) return { channel: this.#channel(made.fd), identity: made.identity };
      if (!made.again || this.#closed || Date.now() >= deadline) return made.error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  join(client: Channel, provider: Channel, options: Pick<ForwardOptions, 'fds'>): void {
    client.pause();
    provider.pause();
    const hand = async () => {
      await Promise.all([client.flushed(), provider.flushed()]);
      const ends = [client.release(), provider.release()] as const;
      this.#joiner(options.fds ?? true).join(ends[0], ends[1]);
    };
    void hand();
  }

  /** The container that new connections go to is another one, or gone. */
  providerChanged(): void {
    for (const listener of this.#onProviderChange) listener();
  }

  /** A connection that was the plugin's and then joined is one connection. */
  stats(): LinkStats {
    const joiners = [...this.#joiners.values()];
    const all = [...this.#relayLinks].map((relayLink): LinkStats => {
      const stats = relayLink.stats();
      return joiners.includes(relayLink) ? { ...stats, total: 0 } : stats;
    });
    const { active, ...sum } = all.reduce(plus, { ...NO_STATS, ...this.tally });
    return { ...sum, active: active + this.#clients.size };
  }

  /** Takes everything planted out of the consumer. Never rejects; more than one call does no harm. */
  async unplant(): Promise<void> {
    await Promise.all([...this.#plants].map((remove) => remove()));
  }

  /** Ends what is still open after `drainMs`, and resolves then, or as soon as nothing is left. */
  async close(drainMs: number): Promise<void> {
    await this.unplant();
    const timer = setTimeout(() => {
      for (const channel of [...this.#channels]) channel.close();
    }, drainMs);
    const channels = new Promise<void>((resolve) => {
      this.#emptied.push(resolve);
      this.#checkEmpty();
    });
    await Promise.all([channels, ...[...this.#relayLinks].map((link) => link.close(drainMs))]);
    clearTimeout(timer);
    this.#closed = true;
    this.#onProviderChange.clear();
  }

  async #plant(type: SocketType): Promise<Planted> {
    const planted = await this.#broker.listenUnix(this.#consumer.handle, type, this.#link.target);
    if (!planted.ok) throw listenError(this.#link, planted.errno);
    let removed: Promise<void> | null = null;
    const remove = () => {
      removed ??= this.#remove(planted.value.plant);
      return removed;
    };
    this.#plants.add(remove);
    return { fd: planted.value.fd, remove };
  }

  /** A container that is busy is asked again for as long as it lives: what is planted in it must not stay. */
  async #remove(plant: number): Promise<void> {
    let result = await this.#broker.remove(plant);
    while (!result.ok && result.errno === 'EBUSY') {
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      result = await this.#broker.remove(plant);
    }
    if (result.ok || result.errno === 'ESRCH') return;
    this.log.warn({ errno: result.errno }, `${this.#link.target} could not be removed`);
  }

  #relayLink(type: SocketType, fds: boolean, events: RelayLinkEvents): RelayLink {
    const { patienceMs, maxConnections } = this.#options;
    const consumerHandle = this.#consumer.handle;
    const options = { type, fds, patienceMs, maxConnections, consumerHandle };
    const relayLink = this.#relay.link(options, events);
    this.#relayLinks.add(relayLink);
    return relayLink;
  }

  #joiner(fds: boolean): RelayLink {
    const joiner = this.#joiners.get(fds) ?? this.#relayLink('stream', fds, {});
    this.#joiners.set(fds, joiner);
    return joiner;
  }

  #channel(fd: number): Channel {
    const channel = new Channel(fd, false, () => {
      this.#channels.delete(channel);
      this.#clients.delete(channel);
      this.#checkEmpty();
    });
    channel.pause(); // nothing may be lost before the plugin listens
    this.#channels.add(channel);
    return channel;
  }

  #checkEmpty(): void {
    if (this.#channels.size > 0) return;
    for (const resolve of this.#emptied.splice(0)) resolve();
  }
}

/** Connections that wait for their provider to run. One that has waited for too long is none any more. */
class Waiting {
  readonly #patienceMs: number;
  readonly #until = new Map<number, number>();

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  add(connection: number): void {
    this.#forget();
    this.#until.set(connection, performance.now() + this.#patienceMs);
  }

  take(): number[] {
    this.#forget();
    const all = [...this.#until.keys()];
    this.#until.clear();
    return all;
  }

  /** They are in the order that they came in. */
  #forget(): void {
    const now = performance.now();
    for (const [connection, until] of this.#until) {
      if (until > now) return;
      this.#until.delete(connection);
    }
  }
}

function attachment(planted: Planted, relayLink: RelayLink): Attachment {
  return {
    detach: async (drainMs) => {
      await planted.remove();
      await relayLink.close(drainMs);
    },
  };
}
