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
import { type LinkError, XConnectError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import type { LinkStats } from '../mesh/attacher.js';
import { NO_STATS, plus } from '../mesh/stats.js';
import type { Device, DeviceOptions } from '../plugins/device/device.js';
import type { OnDemand } from '../plugins/on-demand.js';
import type {
  Attachment,
  Connection,
  ForwardOptions,
  LinkHost,
  ProviderListener,
  Seen,
  SocketType,
  Tally,
} from '../plugins/plugin.js';
import { Channel } from '../relay/channel.js';
import type { Relay, RelayLink, RelayLinkEvents } from '../relay/relay.js';
import type { Container } from './containers.js';
import { LinkDevice } from './device.js';
import type { DeviceWatch } from './device-watch.js';
import { listenError } from './errno.js';
import { attachment, type Planted, removePlant } from './plant.js';
import type { LinkProvider } from './provider.js';
import { listenBeside } from './provider-listener.js';
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
  readonly consumer: Container;
  readonly provider: LinkProvider;
  readonly onDemand: OnDemand | null;
  readonly deviceWatch: DeviceWatch;
  readonly log: Logger;
}

export class OneLinkHost implements LinkHost {
  readonly log: Logger;
  readonly onDemand: OnDemand | null;
  readonly tally: Tally = { toProvider: 0, toConsumer: 0, closes: {}, denied: {}, audited: {} };
  readonly #link: Link;
  readonly #broker: Broker;
  readonly #relay: Relay;
  readonly #consumer: Container;
  readonly #provider: LinkProvider;
  readonly #options: LinkHostOptions;
  readonly #plants = new Set<() => Promise<void>>();
  readonly #relayLinks = new Set<RelayLink>();
  readonly #joiners = new Map<boolean, RelayLink>();
  readonly #channels = new Set<Channel>();
  readonly #clients = new Set<Channel>();
  readonly #onProviderChange = new Set<() => void>();
  readonly #deviceWatch: DeviceWatch;
  /** What else ends with the link. */
  readonly #ends = new Set<() => void | Promise<void>>();
  /** Of the plugin's own, for who asks how the link does. */
  shown: Readonly<Record<string, unknown>> = {};
  #emptied: (() => void)[] = [];
  #closed = false;

  constructor(parts: LinkHostParts, link: Link, options: LinkHostOptions) {
    this.#broker = parts.broker;
    this.#relay = parts.relay;
    this.#consumer = parts.consumer;
    this.#provider = parts.provider;
    this.onDemand = parts.onDemand;
    this.#deviceWatch = parts.deviceWatch;
    this.log = parts.log;
    this.#link = link;
    this.#options = options;
  }

  async forward(options: ForwardOptions): Promise<Attachment> {
    const planted = await this.#plant(options.type);
    const isStanding = () => !options.through && this.#provider.hasFixedIdentity;
    const waiting = new Waiting(this.#options.patienceMs);
    const answer = async (connection: number) => {
      const request = await this.#request(options);
      if (Buffer.isBuffer(request)) relayLink.resolve(connection, request);
      else if (request.code === 'provider-not-running') waiting.add(connection);
      else relayLink.resolve(connection, null);
    };
    const relayLink = this.#relayLink(options.type, options.fds ?? true, {
      onPending: (connection) => void answer(connection),
      onUpstream: (errno) => this.#provider.reached(errno === 0 ? null : errnoName(errno)),
    });
    this.#onProviderChange.add(() => {
      if (isStanding()) {
        relayLink.retarget(this.#provider.standingRequest(options.type));
        return;
      }
      for (const connection of waiting.take()) void answer(connection);
    });
    if (isStanding()) {
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

  async connect(options: { readonly wait?: boolean } = {}): Promise<Channel | LinkError> {
    const made = await this.connectAs(options);
    return 'code' in made ? made : made.channel;
  }

  async connectAs({ wait = true } = {}): Promise<Connection | LinkError> {
    const deadline = Date.now() + (wait ? this.#options.patienceMs : 0);
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

  watch(look: () => Promise<Seen>): void {
    this.#provider.lookWith(look);
  }

  show(fields: Readonly<Record<string, unknown>>): void {
    this.shown = { ...this.shown, ...fields };
  }

  listenAtProvider(): Promise<ProviderListener | LinkError> {
    return listenBeside(this.#broker, this.#provider, this.#link, this.#ends, this.log);
  }

  device(options: DeviceOptions): Device {
    const device = new LinkDevice(
      {
        broker: this.#broker,
        consumer: this.#consumer,
        log: this.log,
        patienceMs: this.#options.patienceMs,
        lookSoon: () => this.#provider.soon(),
      },
      this.#link,
      options,
    );
    this.#provider.lookWith((container) => device.look(container), { mayBeHost: true });
    this.#plants.add(() => device.unplant());
    this.#ends.add(this.#deviceWatch.subscribe(() => this.#provider.soon()));
    this.#ends.add(() => device.end());
    return device;
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
    await Promise.all([...this.#ends].map((end) => end()));
  }

  async #request({ type, through }: ForwardOptions): Promise<Buffer | LinkError> {
    try {
      const socket = await through?.();
      if (typeof socket === 'object') return socket;
      return await this.#provider.request(type, socket);
    } catch (thrown) {
      this.log.error({ err: thrown }, 'a bug in the plugin refused one connection');
      return XConnectError.from(thrown).toLinkError();
    }
  }

  async #plant(type: SocketType): Promise<Planted> {
    const planted = await this.#broker.listenUnix(this.#consumer.handle, type, this.#link.target);
    if (!planted.ok) throw listenError(this.#link, planted.errno);
    let removed: Promise<void> | null = null;
    const remove = () => {
      removed ??= removePlant(this.#broker, planted.value.plant, this.#link.target, this.log);
      return removed;
    };
    this.#plants.add(remove);
    return { fd: planted.value.fd, remove };
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
