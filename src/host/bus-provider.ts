/**
 * A hosted bus as the provider's end of one link: the runtime's own, on the host. There is no container to
 * hold; who we are to it, the graph has said already, as a uid.
 *
 * Whether it is there is found out by connecting, as the broker alone can see its socket: until it once works, and
 * again from when it stops working.
 */
import type { Broker } from '../broker/client.js';
import type { Link } from '../graph/link.js';
import { closeAll } from '../kernel/descriptors.js';
import { type Attempt, failed, ok, type Result } from '../kernel/result.js';
import type { Seen, SocketType } from '../plugins/plugin.js';
import { busError, isNotThereYet } from './errno.js';
import {
  type AskLed,
  type Connected,
  endedMeanwhile,
  type ProviderEnd,
  type ProviderParts,
  unlessBack,
} from './provider.js';
import { ProviderLook } from './provider-look.js';

export interface BusProviderParts extends ProviderParts {
  readonly broker: Broker;
  /** The sockets that the broker was started with, in its order. */
  readonly buses: readonly string[];
}

export class BusProvider implements ProviderEnd {
  readonly container = null;
  readonly hasFixedIdentity = true;
  readonly #parts: BusProviderParts;
  readonly #say = (seen: Seen) => this.#parts.announcer.say(seen);
  /** By connecting, or steadily for what a plugin needs. */
  #look: ProviderLook;
  #link: Link;
  #isClosed = false;

  constructor(parts: BusProviderParts, link: Link) {
    this.#parts = parts;
    this.#link = link;
    this.#look = new ProviderLook(this.#say, () => this.#tryToConnect());
  }

  /** Names that a call of this link starts, as the graph has them now. */
  get names(): readonly string[] | undefined {
    return this.#link.activates;
  }

  async retarget(link: Link): Promise<void> {
    if (this.#isClosed) return;
    this.#link = link;
    this.#parts.onChange();
    const address = this.#address();
    if (address.ok || this.#look.isSteady) {
      await this.#look.anew();
      return;
    }
    this.#look.stop(); // until the graph says otherwise
    this.#say(address);
  }

  standingRequest(): Buffer | null {
    const address = this.#address();
    return address.ok ? this.#encode(address.value) : null;
  }

  async request(): Promise<Result<Buffer>> {
    const address = this.#address();
    if (!address.ok) return address;
    const request = this.#encode(address.value);
    return request ? ok(request) : failed(busError(this.#link, 'EINVAL'));
  }

  async connect(_type: SocketType, _timeoutMs: number, led: AskLed): Promise<Attempt<Connected>> {
    const address = this.#address();
    if (!address.ok) return { ...address, waits: false };
    const { bus, uid } = address.value;
    const made = await this.#parts.broker.connectBus(bus, uid);
    if (this.#isClosed) return endedMeanwhile(this.#link, made);
    const kept = await unlessBack(made, led, (errno) => {
      if (!this.#isClosed && !this.#look.isSteady) this.#look.shown(this.#seen(errno));
    });
    if (this.#isClosed) return endedMeanwhile(this.#link, kept);
    if (kept.ok) return ok({ fd: kept.value, identity: { uid, gid: uid } });
    const error = busError(this.#link, kept.errno);
    return { ok: false, error, waits: isNotThereYet(kept.errno) };
  }

  async listen(path: string): Promise<Result<never>> {
    const message = `No socket at ${path} beside the hosted bus: a container was expected.`;
    return failed({ code: 'type-unsupported', message });
  }

  reached(errno: string | null): void {
    if (this.#isClosed) return;
    if (errno === null && this.#isInRing) this.released();
    else if (!this.#look.isSteady) this.#look.shown(this.#seen(errno));
    else if (errno !== null) this.soon();
  }

  released(): void {
    if (this.#isInRing) this.soon();
  }

  lookWith(look: () => Promise<Seen>): void {
    if (this.#isClosed) return;
    this.#look.stop();
    this.#look = new ProviderLook(this.#say, look, true);
    void this.#look.anew();
  }

  soon(): void {
    if (!this.#isClosed) this.#look.soon();
  }

  close(): void {
    this.#isClosed = true;
    this.#look.stop();
  }

  get #isInRing(): boolean {
    return this.#parts.announcer.said?.error?.code === 'provider-loop';
  }

  /** `errno`: of connecting; null: it worked. */
  #seen(errno: string | null): Seen {
    if (errno === null) return { error: null };
    return { error: busError(this.#link, errno), waits: isNotThereYet(errno) };
  }

  #encode({ bus, uid }: { bus: number; uid: number }): Buffer | null {
    return this.#parts.broker.encodeConnectBus(bus, uid);
  }

  #address(): Result<{ bus: number; uid: number }> {
    const { uid, socket, role } = this.#link;
    const bus = this.#parts.buses.indexOf(socket);
    if (bus < 0) {
      const message = `The graph has a bus at ${socket}, which is none of those that this daemon was given.`;
      return failed({ code: 'bus-unlisted', message });
    }
    if (uid !== undefined) return ok({ bus, uid });
    const message = `The graph has no uid for the role ${role} on the bus.`;
    return failed({ code: 'bus-uid', message });
  }

  async #tryToConnect(): Promise<Seen> {
    const address = this.#address();
    if (!address.ok) return address;
    const { bus, uid } = address.value;
    const found = await this.#parts.broker.connectBus(bus, uid);
    if (found.ok) closeAll([found.value]);
    return this.#seen(found.ok ? null : found.errno);
  }
}
