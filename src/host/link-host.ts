/**
 * What a plugin sees of the machine: one link's two ends, and nothing else (the LinkHost of plugins/plugin.ts).
 *
 * Everything that was asked for is remembered here and ends with the link, whatever the plugin forgets:
 * `unplant` frees the target, `close` ends what is open. Listeners and connections are made by the broker, bytes
 * are moved by the relay; nothing here sees a pid or a namespace.
 */
import type { Broker } from '../broker/client.js';
import type { Link } from '../graph/link.js';
import { withDeadline } from '../kernel/deadline.js';
import { DurationCount } from '../kernel/durations.js';
import { errnoName } from '../kernel/errno.js';
import type { LinkError } from '../kernel/errors.js';
import type { SocketAddress } from '../kernel/ip-address.js';
import type { Logger } from '../kernel/log.js';
import { pollUntil } from '../kernel/poll.js';
import { failed, ok, type Result } from '../kernel/result.js';
import type {
  Fault,
  LinkStats,
  OnConnectionEnd,
  OpenConnection,
  Probed,
  Tap,
  TapSink,
} from '../mesh/attacher.js';
import { NO_STATS, plus } from '../mesh/stats.js';
import type { Device, DeviceOptions } from '../plugins/device/device.js';
import type { OnDemand } from '../plugins/on-demand.js';
import type {
  Attachment,
  Connection,
  ConnectionHandler,
  Described,
  End,
  ForwardOptions,
  JoinOptions,
  LinkHost,
  ProviderListener,
  Seen,
  SocketType,
  Tally,
} from '../plugins/plugin.js';
import type { SocketStream } from '../relay/byte-stream.js';
import type { Channel } from '../relay/channel.js';
import { newClosing } from '../relay/closing.js';
import type { Relay } from '../relay/relay.js';
import type { RelayLink, RelayLinkEvents, RelayLinkOptions } from '../relay/relay-link.js';
import type { TransferOptions, TransferResult } from '../relay/transfer.js';
import { acceptEach, crowded, mostOf } from './accepting.js';
import { type Adoption, type Claim, encodeNote, sharedNoteOf } from './adoption.js';
import type { Announcer } from './announcer.js';
import { ChannelSet } from './channel-set.js';
import type { Container } from './containers.js';
import { LinkDevice } from './device.js';
import type { DeviceWatch } from './device-watch.js';
import { certificateError } from './errno.js';
import { LinkFault } from './fault.js';
import { introduction } from './introduction.js';
import type { LinkHostOptions } from './link-options.js';
import type { PlantWatch } from './plants.js';
import { withoutBug } from './plugin-call.js';
import { lookOnly, tryProvider } from './probe.js';
import type { AskLed, ProviderEnd } from './provider.js';
import { listenBeside } from './provider-listener.js';
import { type Part, RelayParts, sayFull } from './relay-parts.js';
import type { Listening, Membership, SharedListeners } from './shared-listeners.js';
import { tapLink } from './tap.js';
import { Target, type TargetParts } from './target.js';
import { Waiting } from './waiting.js';

/** Between two attempts at what may work in a moment. */
const AGAIN_MS = 50;

/** A connection that tries the link is given so long for its handshake, in milliseconds. */
const PROBE_MS = 2_000;

/** What a link's host is made of. */
export interface LinkHostParts {
  readonly broker: Broker;
  readonly relay: Relay;
  readonly shared: SharedListeners;
  readonly deviceWatch: DeviceWatch;
  readonly plantWatch: PlantWatch;
  readonly consumer: Container;
  readonly provider: ProviderEnd;
  readonly announcer: Announcer;
  readonly onDemand: OnDemand | null;
  readonly adoption: Adoption;
  /** What an earlier daemon left standing of the link. */
  readonly claim: Claim;
  readonly log: Logger;
}

export class OneLinkHost implements LinkHost {
  readonly log: Logger;
  readonly onDemand: OnDemand | null;
  readonly requests = { active: 0, total: 0 };
  readonly tally: Tally & { readonly connectTimes?: DurationCount };
  readonly #parts: LinkHostParts;
  readonly #provider: ProviderEnd;
  readonly #link: Link;
  readonly #options: LinkHostOptions;
  /** How to free the target, and to take back what a client was given. */
  readonly #removes = new Set<() => Promise<void>>();
  readonly #memberships = new Set<Membership<ConnectionHandler>>();
  readonly #devices = new Set<LinkDevice>();
  readonly #relay: RelayParts;
  readonly #fault: LinkFault;
  /** Whatever the link's two ends send to us is closed on one account. */
  readonly #closing = newClosing();
  readonly #clients = new ChannelSet(this.#closing);
  readonly #providers = new ChannelSet(this.#closing);
  readonly #onProviderChange = new Set<() => void>();
  /** What else ends with the link. */
  readonly #ends = new Set<() => void | Promise<void>>();
  /** Of the plugin's own, for who asks how the link does. */
  shown: Readonly<Record<string, unknown>> = {};
  /** Where a connection of ours to the provider leads. As long as nobody can connect to the link, it leads on. */
  #led: AskLed = async () => 'on';
  /** How the link is tried, see `probeWith`. */
  #probe = () => this.#tryToConnect('stream');
  #closed = false;

  constructor(parts: LinkHostParts, link: Link, options: LinkHostOptions) {
    this.onDemand = parts.onDemand;
    this.log = parts.log;
    this.#parts = parts;
    this.#provider = parts.provider;
    this.#link = link;
    this.#options = options;
    this.tally = {
      ...{ toProvider: 0, toConsumer: 0, closes: {}, denied: {}, audited: {} },
      ...(options.timed && {
        connectTimes: new DurationCount(),
        requestTimes: new DurationCount(),
      }),
    };
    this.#relay = new RelayParts(parts, link, options);
    this.#fault = new LinkFault(this.#relay, () => this.providerChanged());
  }

  async forward(options: ForwardOptions): Promise<Attachment> {
    this.#probe = () => this.#tryToConnect(options.type);
    const isStanding = () => !options.through && this.#provider.hasFixedIdentity;
    const waiting = new Waiting(this.#options.patienceMs);
    const isDatagram = options.type === 'dgram'; // of which the relay asks again, as long as it is to wait
    const answer = async (connection: number) => {
      const request = await this.#request(options);
      if (request.ok) relayLink.resolve(connection, request.value);
      else if (request.error.code === 'provider-not-running' && !isDatagram)
        waiting.add(connection);
      else relayLink.resolve(connection, null);
    };
    const reached = (errno: number) =>
      this.#provider.reached(errno === 0 ? null : errnoName(errno));
    const part = this.#relay.part(isStanding() ? 'forward' : 'ask', options, {
      onPending: (connection) => void answer(connection),
      onUpstream: reached,
    });
    const { relayLink, adopted, note } = part;
    this.#led = (fd) => relayLink.led(fd);
    const request = () => (isStanding() ? this.#provider.standingRequest(options.type) : null);
    let failedBefore = adopted?.errno ?? 0;
    const changed = () => {
      if (isStanding()) relayLink.retarget(request());
      else for (const connection of waiting.take()) void answer(connection);
      // Else it would count as reachable until the next connection failed like the last one.
      if (failedBefore !== 0 && this.#provider.container) reached(failedBefore);
      failedBefore = 0;
    };
    this.#onProviderChange.add(changed);
    const target = await this.#targetOf(options, part);
    const mode = isStanding() ? 'forward' : 'ask';
    if (adopted && request()) changed(); // it may have been there before we were told of changes
    target.serve(relayLink, (fd, stood) => relayLink.listen(fd, mode, request(), note(stood)));
    return this.#attachment(target, relayLink);
  }

  async listen(onConnection: (client: Channel) => void | Promise<void>): Promise<Attachment> {
    const isFull = crowded(mostOf(this.#link, this.#options), () => this.stats(), this.tally);
    const events = acceptEach(this.#clients, onConnection, this.log, isFull);
    const part = this.#relay.part('hand', { type: 'stream' }, { ...events, ...this.#ringEvents() });
    const { relayLink, note } = part;
    this.#led = (fd) => relayLink.led(fd);
    const target = await this.#targetOf({ type: 'stream' }, part);
    target.serve(relayLink, (fd, stood) => relayLink.listen(fd, 'hand', null, note(stood)));
    return this.#attachment(target, relayLink);
  }

  async share<T extends ConnectionHandler>(make: () => T): Promise<T> {
    const { consumer, shared, announcer, log } = this.#parts;
    const membership = await shared.enter(
      {
        consumer,
        link: this.#link,
        log,
        listen: (id, channels, handler) => {
          const onConnection = (client: Channel) => handler.onConnection(client);
          return this.#listenShared(id, acceptEach(channels, onConnection, log));
        },
      },
      make,
    );
    this.#memberships.add(membership);
    const own = this.#relay.unkept({ type: 'stream' }, this.#ringEvents());
    this.#led = (fd) => own.led(fd, membership.relayLink);
    const unwatch = membership.watch((error) => announcer.target(error));
    this.#removes.add(() => {
      unwatch();
      return membership.leave();
    });
    return membership.handler;
  }

  async connect(options: { readonly wait?: boolean } = {}): Promise<Result<Channel>> {
    const made = await this.connectAs(options);
    return made.ok ? ok(made.value.channel) : made;
  }

  async connectAs({ wait = true } = {}): Promise<Result<Connection>> {
    if (this.#fault.refusal) return failed(this.#fault.refusal);
    const since = performance.now();
    const deadline = since + (wait ? this.#options.patienceMs : 0);
    const made = await pollUntil(
      (outcome) => outcome.ok || !outcome.waits || this.#closed,
      () => {
        const leftMs = Math.max(1, deadline - performance.now());
        return this.#provider.connect('stream', leftMs, (fd) => this.#led(fd));
      },
      { everyMs: AGAIN_MS, deadline },
    );
    if (!made.ok) return made;
    // What does not wait for the provider is a trial, for no consumer.
    if (wait) this.tally.connectTimes?.add(performance.now() - since);
    const { fd, identity } = made.value;
    return ok({ channel: this.#introduced(this.#fault.through(fd)), identity });
  }

  bytes(channel: Channel): SocketStream {
    return ChannelSet.bytes(channel);
  }

  describe(client: End, about: () => Described): void {
    this.#clients.held.describe(client, about);
  }

  shares(remote: SocketAddress, about: () => Described): (reason: string) => void {
    return this.#clients.held.share(remote, about);
  }

  join(client: End, provider: End, options: JoinOptions): void {
    this.#clients.held.give(client);
    this.#relay.join(client, provider, options);
  }

  async transfer(source: End, sink: End, options: TransferOptions): Promise<TransferResult> {
    const result = await this.#relay.transfer(source, sink, options);
    const { held } = this.#clients;
    if (options.to === 'provider') held.moved(source, { toProvider: result.moved });
    else held.moved(sink, { toConsumer: result.moved });
    return result;
  }

  watch(look: () => Promise<Seen>): void {
    const seen = async (): Promise<Seen> => {
      const { error, waits = false } = await look();
      return { error, waits };
    };
    this.#provider.lookWith(() => withoutBug(this.log, seen, (error) => ({ error })));
  }

  verify(check: () => Promise<LinkError | null>): () => void {
    const { announcer, log } = this.#parts;
    return announcer.verify(() => withoutBug<LinkError | null>(log, check, (error) => error));
  }

  probeWith(probe: () => Promise<Result<Probed>>): void {
    this.#probe = probe;
  }

  show(fields: Readonly<Record<string, unknown>>): void {
    this.shown = { ...this.shown, ...fields };
  }

  listenAtProvider(onLost: () => void): Promise<Result<ProviderListener>> {
    const parts = { ...this.#parts, link: this.#link, ends: this.#ends };
    return listenBeside(parts, () => void withoutBug(this.log, onLost));
  }

  device(options: DeviceOptions): Device {
    const { broker, consumer, deviceWatch, plantWatch } = this.#parts;
    const { patienceMs } = this.#options;
    const lookSoon = () => this.#provider.soon();
    const provider = () => this.#provider.container;
    const onPlanting = (looked: Promise<void>) => this.#parts.adoption.waitFor(looked);
    const told = { lookSoon, provider, onPlanting };
    const parts = { broker, consumer, plantWatch, log: this.log, patienceMs, ...told };
    const device = new LinkDevice(parts, this.#link, options);
    this.watch(() => device.look());
    this.probeWith(() => lookOnly(this.#link, device));
    // Taken back however long the consumer's file systems take, and before a connection's end tells its client so.
    this.#devices.add(device);
    this.#removes.add(() => this.#takeBack(device));
    this.#removes.add(() => device.unplant());
    this.#ends.add(deviceWatch.subscribe(lookSoon));
    return device;
  }

  onProviderChange(listener: () => void): void {
    this.#onProviderChange.add(listener);
  }

  reportHealth(error: LinkError | null): void {
    this.#parts.announcer.health(error);
  }

  async readCertificate(name: string): Promise<Result<Buffer>> {
    const read = await this.#parts.broker.readCertificate(`/${name}`);
    return read.ok ? read : failed(certificateError(name, read.errno));
  }

  /** The container that new connections go to is another one, or gone. */
  providerChanged(): void {
    for (const listener of this.#onProviderChange) void withoutBug(this.log, listener);
  }

  stats(): LinkStats {
    const sum = this.#relay.stats().reduce(plus, { ...NO_STATS, ...this.tally });
    const { in: toConsumer, out: toProvider } = this.#providers.bytes;
    const ours = { ...NO_STATS, active: this.#clients.size, toConsumer, toProvider };
    const stats = [ours, { ...NO_STATS, ...this.requests }].reduce(plus, sum);
    const most = mostOf(this.#link, this.#options);
    return stats.active < most ? stats : { ...stats, full: most };
  }

  /** Those that are open, in no order. Never rejects. */
  async connections(): Promise<OpenConnection[]> {
    return [...this.#clients.held.list(), ...(await this.#relay.connections())];
  }

  /** As of AttachedLink. */
  watchConnections(onEnd: OnConnectionEnd): () => void {
    const ends = [this.#clients.held.watch(onEnd), this.#relay.watch(onEnd)];
    return () => {
      for (const end of ends) end();
    };
  }

  /** As of AttachedLink. */
  probe(): Promise<Result<Probed>> {
    return withoutBug<Result<Probed>>(this.log, this.#probe, failed);
  }

  /** As of AttachedLink. */
  tap(sink: TapSink): Tap {
    return tapLink(sink, this.#clients, this.#providers, this.#relay);
  }

  /** As of AttachedLink. */
  fault(fault: Fault): () => void {
    return this.#fault.begin(fault);
  }

  /** Frees the target, takes back devices. Never rejects; more than one call does no harm. */
  async unplant(): Promise<void> {
    await Promise.all([...this.#removes].map((remove) => remove()));
  }

  /**
   * When a successor has the link: resolves when clients that hold a device have gone, and those of a shared address, or
   * after `drainMs`. Until then everything is as it was. At once in any other case.
   */
  async finish(drainMs: number): Promise<void> {
    if (!this.#parts.broker.hasLeft) return;
    const isDevice = this.#devices.size > 0;
    await Promise.all([
      isDevice ? withDeadline(this.#clients.drained(), drainMs, undefined) : undefined,
      ...[...this.#memberships].map((membership) => membership.finish(drainMs)),
    ]);
  }

  /** Those to the provider end after `drainMs`, whether or not the target is free by then. */
  endConnections(drainMs: number): void {
    void this.#relay.close(drainMs);
    void this.#providers.drain(drainMs);
  }

  /** Ends what is still open after `drainMs`, and resolves then, or as soon as nothing is left. */
  async close(drainMs: number): Promise<void> {
    await this.unplant();
    await Promise.all([
      this.#clients.drain(drainMs),
      this.#providers.drain(drainMs),
      ...[...this.#memberships].map((membership) => membership.close(drainMs)),
      this.#relay.close(drainMs),
    ]);
    this.#closed = true;
    this.#fault.end();
    await Promise.all([...this.#devices].map((device) => device.end()));
    this.#onProviderChange.clear();
    await Promise.all([...this.#ends].map((end) => end()));
  }

  /** Only a stream has bytes that the provider may have to be sent first. */
  async #tryToConnect(type: SocketType): Promise<Result<Probed>> {
    const made = await this.#provider.connect(type, PROBE_MS, (fd) => this.#led(fd));
    if (!made.ok) return failed(made.error);
    const { fd, identity } = made.value;
    const channel = type === 'stream' ? this.#introduced(fd) : this.#providers.open(fd);
    return tryProvider(channel, type, this.#link, identity);
  }

  /** Not from clients that are a successor's to leave alone: they keep it for the drain time. */
  async #takeBack(device: LinkDevice): Promise<void> {
    if (!this.#parts.broker.hasLeft) await device.end();
  }

  async #request({ type, through }: ForwardOptions): Promise<Result<Buffer>> {
    if (!through) return this.#provider.request(type);
    const path = await withoutBug<Result<string>>(this.log, through, failed);
    return path.ok ? this.#provider.request(type, path.value) : path;
  }

  /** The relay's word on a link that connects by itself: that it is in a ring, or (0) no more. */
  #ringEvents(): RelayLinkEvents {
    return {
      onUpstream: (errno) =>
        errno === 0 ? this.#provider.released() : this.#provider.reached(errnoName(errno)),
    };
  }

  async #targetOf({ type }: ForwardOptions, { adopted }: Part): Promise<Target> {
    const target = await Target.of(this.#targetParts(type), adopted, this.#parts.claim);
    target.watch((error) => this.#parts.announcer.target(error));
    return target;
  }

  #targetParts(type: SocketType): TargetParts {
    const { broker, plantWatch, consumer, log } = this.#parts;
    return { broker, plantWatch, consumer, link: this.#link, type, log };
  }

  /** A listener that is not ended with this link, and whose connections need not be this link's. */
  async #listenShared(id: string, events: RelayLinkEvents): Promise<Listening> {
    const { relay, consumer, adoption } = this.#parts;
    const claim = await adoption.claimShared(id, consumer);
    const { patienceMs, maxConnections, linkMemory: memory } = this.#options;
    const bounds = { patienceMs, maxConnections, memory, consumerHandle: consumer.handle };
    const settings: RelayLinkOptions = { type: 'stream', fds: true, ...bounds };
    // Clients of an earlier daemon's listener may be here before the links that share it: theirs may be any of those.
    let isEarly = false;
    const { settled } = this.#parts.adoption;
    const onHanded = (fd: number) =>
      isEarly ? settled.then(() => events.onHanded?.(fd)) : events.onHanded?.(fd);
    const told = { onFull: () => sayFull(this.log, memory), ...events, onHanded };
    const adopted = claim.take('hand', settings, told);
    isEarly = adopted !== null;
    void settled.then(() => {
      isEarly = false;
    });
    const relayLink = adopted?.relayLink ?? relay.link(settings, told);
    const note = sharedNoteOf(id, consumer, 'hand', settings);
    try {
      const target = await Target.of(this.#targetParts('stream'), adopted, claim);
      target.serve(relayLink, (fd, stood) => {
        relayLink.listen(fd, 'hand', null, encodeNote({ ...note, stood }));
      });
      return { target, relayLink };
    } catch (thrown) {
      await relayLink.close(0);
      throw thrown;
    } finally {
      await claim.rest();
    }
  }

  #attachment(target: Target, relayLink: RelayLink): Attachment {
    const remove = () => target.remove();
    this.#removes.add(remove);
    return {
      detach: async (drainMs) => {
        await remove();
        await relayLink.close(drainMs);
      },
    };
  }

  /** A connection of ours to the provider, which may have to be told that it is nobody else's. */
  #introduced(fd: number): Channel {
    const channel = this.#providers.open(fd);
    const header = introduction(this.#link);
    if (header) channel.write(header);
    return channel;
  }
}
