/**
 * The provider's end of a link to the hosted bus: the runtime's own bus, on the host. There is no container to
 * hold; who we are to it, the graph has said already, as a uid.
 *
 * Whether it is there is found out by connecting, as the broker alone can see its socket: until it once works, and
 * again from when it stops working.
 */
import type { Broker } from '../broker/client.js';
import type { Link } from '../graph/link.js';
import { closeAll } from '../kernel/descriptors.js';
import type { LinkError } from '../kernel/errors.js';
import type { Identity, SocketType } from '../plugins/plugin.js';
import type { Led } from '../relay/relay.js';
import { busError, isNotThereYet } from './errno.js';
import type { LinkProvider, ProviderEvents } from './provider.js';
import { endedMeanwhile, unlessBack } from './reach.js';

const LOOK_FIRST_MS = 50;
const LOOK_MOST_MS = 2_000;

export class BusProvider implements LinkProvider {
  readonly hasFixedIdentity = true;
  readonly #broker: Broker;
  readonly #buses: readonly string[];
  readonly #events: ProviderEvents;
  #link: Link;
  #timer: NodeJS.Timeout | null = null;
  #announced = false;
  #closed = false;
  #state: Parameters<ProviderEvents['onState']> | null = null;

  /** `buses`: the sockets that the broker was started with, in its order. */
  constructor(broker: Broker, buses: readonly string[], link: Link, events: ProviderEvents) {
    this.#broker = broker;
    this.#buses = buses;
    this.#link = link;
    this.#events = events;
  }

  /** Names that a call of this link starts, as the graph has them now. */
  get names(): readonly string[] | undefined {
    return this.#link.activates;
  }

  /** Never rejects. */
  async retarget(link: Link): Promise<void> {
    this.#link = link;
    this.#stopLooking();
    this.#events.onChange();
    await this.#look(LOOK_FIRST_MS);
  }

  standingRequest(): Buffer | null {
    const address = this.#address();
    return 'code' in address ? null : this.#broker.encodeConnectBus(address.bus, address.uid);
  }

  async request(): Promise<Buffer | LinkError> {
    const address = this.#address();
    if ('code' in address) return address;
    const request = this.#broker.encodeConnectBus(address.bus, address.uid);
    return request ?? busError(this.#link, 'EINVAL');
  }

  async connect(
    _type: SocketType,
    _timeoutMs: number,
    led: (fd: number) => Led,
  ): Promise<{ fd: number; identity: Identity } | { error: LinkError; again: boolean }> {
    const address = this.#address();
    if ('code' in address) return { error: address, again: false };
    const made = await this.#broker.connectBus(address.bus, address.uid);
    if (this.#closed) return endedMeanwhile(this.#link, made.ok ? { fd: made.value } : {});
    const { uid } = address;
    const kept = unlessBack(made.ok ? { fd: made.value } : made, led, (errno) =>
      this.reached(errno),
    );
    if ('fd' in kept) return { fd: kept.fd, identity: { uid, gid: uid } };
    return { error: busError(this.#link, kept.errno), again: isNotThereYet(kept.errno) };
  }

  /** No plugin asks a bus how it is. */
  reportHealth(): void {}

  /** The relay's word, as of Provider: null, or an errno's name. */
  reached(errno: string | null): void {
    if (this.#closed) return;
    if (errno === null) {
      this.#stopLooking();
      this.#say('established', null);
      return;
    }
    this.#say(isNotThereYet(errno) ? 'waiting' : 'failed', busError(this.#link, errno));
    if (!this.#timer) this.#lookLater(LOOK_FIRST_MS);
  }

  /** There is no container whose file system could be looked into, or listened in: connecting is how it is seen. */
  lookWith(): void {}

  async listen(): Promise<null> {
    return null;
  }

  soon(): void {
    if (this.#closed) return;
    this.#stopLooking();
    void this.#look(LOOK_FIRST_MS);
  }

  /** The ring is open that the link was of: what was reached leads to an end. */
  released(): void {
    if (this.#state?.[1]?.code === 'provider-loop') this.reached(null);
  }

  announce(): void {
    this.#announced = true;
    if (this.#state && !this.#closed) this.#events.onState(...this.#state);
  }

  close(): void {
    this.#closed = true;
    this.#stopLooking();
  }

  #address(): { bus: number; uid: number } | LinkError {
    const { uid, socket, role } = this.#link;
    const bus = this.#buses.indexOf(socket);
    if (bus < 0) {
      const message = `The graph has a bus at ${socket}, which is none of those that this daemon was given.`;
      return { code: 'bus-unlisted', message };
    }
    if (uid !== undefined) return { bus, uid };
    return { code: 'bus-uid', message: `The graph has no uid for the role ${role} on the bus.` };
  }

  async #look(delayMs: number): Promise<void> {
    const address = this.#address();
    if ('code' in address) {
      this.#say('failed', address);
      return;
    }
    const link = this.#link;
    const found = await this.#broker.connectBus(address.bus, address.uid);
    if (found.ok) closeAll([found.value]);
    if (this.#closed || this.#link !== link) return;
    if (found.ok) {
      this.#stopLooking();
      this.#say('established', null);
      return;
    }
    this.#say(isNotThereYet(found.errno) ? 'waiting' : 'failed', busError(link, found.errno));
    if (!this.#timer) this.#lookLater(delayMs);
  }

  #lookLater(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#look(Math.min(delayMs * 2, LOOK_MOST_MS));
    }, delayMs);
  }

  #stopLooking(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #say(...state: Parameters<ProviderEvents['onState']>): void {
    this.#state = state;
    if (this.#announced && !this.#closed) this.#events.onState(...state);
  }
}
