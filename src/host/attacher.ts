/**
 * Makes links real: consumer and provider held, the plugin of the type asked, its life ended with the link.
 *
 * An attached link never rejects and always ends: what a plugin does not close within its drain time and a
 * second is closed here.
 */
import type { Broker } from '../broker/client.js';
import { endpointOf } from '../graph/endpoint.js';
import { EXTERNAL, type Link, linkId, RUNTIME_PROVIDER } from '../graph/link.js';
import { withDeadline } from '../kernel/deadline.js';
import { XConnectError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import { valueOrThrow } from '../kernel/result.js';
import type { AttachedLink, AttachedListener, Attacher, Detached } from '../mesh/attacher.js';
import type { Activator, OnDemand } from '../plugins/on-demand.js';
import type { Attachment } from '../plugins/plugin.js';
import type { Registry } from '../plugins/registry.js';
import type { Relay } from '../relay/relay.js';
import type { Adoption, Claim } from './adoption.js';
import { Announcer } from './announcer.js';
import { BusProvider } from './bus-provider.js';
import { ContainerProvider } from './container-provider.js';
import { type Container, type Containers, THE_HOST } from './containers.js';
import { DeviceWatch } from './device-watch.js';
import { HostProvider } from './host-provider.js';
import { OneLinkHost } from './link-host.js';
import type { LinkHostOptions } from './link-options.js';
import { PlantWatch } from './plants.js';
import type { ProviderEnd } from './provider.js';
import { SharedListeners } from './shared-listeners.js';

const OVERTIME_MS = 1_000;

export interface HostParts {
  readonly broker: Broker;
  readonly relay: Relay;
  readonly containers: Containers;
  readonly adoption: Adoption;
  readonly plugins: Registry;
  readonly log: Logger;
  /** Sockets of hosted buses on the host, in the order in which the broker was given them. */
  readonly buses?: readonly string[];
  /** Has the owner of a name on one of them started. Absent: nothing is started on demand. */
  readonly activator?: Activator;
}

/** As what the runtime's own bus may be consumed. */
const BUS_TYPES = ['dbus', 'unix'];

export class HostAttacher implements Attacher {
  readonly #parts: HostParts;
  readonly #options: LinkHostOptions;
  readonly #deviceWatch = new DeviceWatch();
  readonly #shared = new SharedListeners();
  readonly #plantWatch: PlantWatch;

  constructor(parts: HostParts, options: LinkHostOptions) {
    this.#parts = parts;
    this.#plantWatch = new PlantWatch(parts.broker);
    this.#options = options;
  }

  generation(pid: number): number {
    return this.#parts.containers.generation(pid);
  }

  async attach(link: Link, stamp: number, listener: AttachedListener): Promise<AttachedLink> {
    const { containers, plugins } = this.#parts;
    const plugin = plugins.for(link);
    if (!plugin) throw unknownType(link, plugins.types);
    const consumer = await this.#consumerOf(link, stamp);
    const claim = await this.#parts.adoption.claim(link, consumer);
    const { host, provider, announcer } = this.#hostOf(link, consumer, claim, listener);
    let unsubscribe = () => {};
    const end = () => {
      unsubscribe();
      announcer.close();
      provider.close();
      containers.release(consumer);
    };
    try {
      // Not waited for: a provider that is slow to look at must not keep the socket from its consumer.
      void provider.retarget(link, stamp);
      const attachment = await plugin.attach(link, host);
      await claim.rest();
      if (!consumer.alive) throw ended(link);
      unsubscribe = consumer.onExit(() => listener.onLost(ended(link).toLinkError()));
      setImmediate(() => announcer.announce()); // once the mesh knows the attachment that it is about
      return attached(attachment, host, provider, consumer, end);
    } catch (thrown) {
      await Promise.all([host.close(0), claim.rest()]);
      end();
      throw XConnectError.from(thrown, linkId(link));
    }
  }

  async #consumerOf(link: Link, stamp: number): Promise<Container> {
    const { containers } = this.#parts;
    if (link.consumer !== EXTERNAL) {
      return valueOrThrow(await containers.retain(link.consumer, link.consumerPid, stamp));
    }
    if ('address' in endpointOf(link.target)) return THE_HOST;
    throw unsupported(link);
  }

  #hostOf(link: Link, consumer: Container, claim: Claim, listener: AttachedListener) {
    const { broker, relay, adoption } = this.#parts;
    const log = this.#parts.log.child({ link: linkId(link) });
    const announcer = new Announcer((state, error) => listener.onState(state, error));
    const onChange = () => {
      announcer.anew();
      host.providerChanged();
    };
    const { provider, onDemand } = this.#providerOf(link, announcer, onChange);
    const [shared, deviceWatch, plantWatch] = [this.#shared, this.#deviceWatch, this.#plantWatch];
    const watches = { shared, deviceWatch, plantWatch };
    const ends = { consumer, provider, announcer, onDemand };
    const parts = { broker, relay, adoption, claim, ...watches, ...ends, log };
    const host = new OneLinkHost(parts, link, this.#options);
    return { host, provider, announcer };
  }

  #providerOf(
    link: Link,
    announcer: Announcer,
    onChange: () => void,
  ): { provider: ProviderEnd; onDemand: OnDemand | null } {
    const { broker, containers, buses = [] } = this.#parts;
    const parts = { announcer, onChange, broker, containers, buses };
    if (link.provider !== RUNTIME_PROVIDER) {
      return { provider: new ContainerProvider(parts, link), onDemand: null };
    }
    if (!BUS_TYPES.includes(link.type)) {
      return { provider: new HostProvider(parts, link), onDemand: null };
    }
    const provider = new BusProvider(parts, link);
    return { provider, onDemand: this.#onDemand(provider, link) };
  }

  #onDemand(provider: BusProvider, { name: bus }: Link): OnDemand {
    const { activator } = this.#parts;
    return {
      names: () => (activator ? provider.names : []),
      activate: async (name) => (await activator?.activate(bus, name)) ?? { outcome: 'unknown' },
      done: (name) => activator?.done(bus, name),
    };
  }
}

function attached(
  attachment: Attachment,
  host: OneLinkHost,
  provider: ProviderEnd,
  consumer: Container,
  end: () => void,
): AttachedLink {
  const leave = async (drainMs: number, removed: Promise<void>) => {
    await removed;
    await host.finish(drainMs);
    const detached = attachment.detach(drainMs).catch((thrown: unknown) => {
      host.log.error({ err: thrown }, 'a bug in the plugin: its link was ended without it');
    });
    const inTime = withDeadline(detached, drainMs + OVERTIME_MS, undefined);
    await Promise.all([host.close(drainMs), inTime]);
    await host.close(0); // what the plugin opened while it was leaving
    end();
  };
  let leaving: Detached | null = null;
  return {
    consumerGeneration: consumer.generation,
    retarget: (link, stamp) => provider.retarget(link, stamp),
    stats: () => host.stats(),
    shown: () => host.shown,
    connections: () => host.connections(),
    watch: (onEnd) => host.watchConnections(onEnd),
    probe: () => host.probe(),
    tap: (sink) => host.tap(sink),
    fault: (fault) => host.fault(fault),
    detach: (drainMs) => {
      if (leaving) return leaving;
      const removed = host.unplant();
      host.endConnections(drainMs); // a consumer whose file systems hang must not keep them
      leaving = { removed, done: leave(drainMs, removed) };
      return leaving;
    },
  };
}

function ended(link: Link): XConnectError {
  return new XConnectError('container-gone', `${link.consumer} has ended.`);
}

function unknownType(link: Link, types: readonly string[]): XConnectError {
  const spoken = types.includes(link.type) ? ` with the interface ${link.interface}` : '';
  const known = types.join(', ');
  const message = `No plugin for type ${link.type}${spoken}; there is: ${known}.`;
  return new XConnectError('type-unknown', message);
}

function unsupported(link: Link): XConnectError {
  return new XConnectError(
    'type-unsupported',
    `The host itself can be given IP:PORT only, found ${link.target} for type ${link.type}.`,
  );
}
