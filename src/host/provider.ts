/**
 * The provider's end of one link: which container it is now, who we are to it, whether it is there.
 *
 * The container may change under the link at any time; `onChange` says so, and the listener of the link
 * never notices. Whether the provider's socket exists is looked up until it does, then it is the relay
 * that tells when connecting begins to fail.
 */
import type { Broker, BrokerResult } from '../broker/client.js';
import { type Link, RUNTIME_PROVIDER } from '../graph/link.js';
import { type LinkError, XConnectError } from '../kernel/errors.js';
import type { Identity, SocketType } from '../plugins/plugin.js';
import type { Container, Containers } from './containers.js';
import { connectError, isNotThereYet } from './errno.js';
import { fixedIdentity, resolveIdentity } from './identity.js';

const PROBE_FIRST_MS = 50;
const PROBE_MOST_MS = 2_000;
const BUSY_MOST_MS = 5_000;
const PASSWD = '/etc/passwd';

export interface ProviderEvents {
  /** Connections go elsewhere from now on, or (no container) have to wait. */
  onChange(): void;
  onState(state: 'established' | 'waiting' | 'failed', error: LinkError | null): void;
}

export class Provider {
  readonly #broker: Broker;
  readonly #containers: Containers;
  readonly #events: ProviderEvents;
  #link: Link;
  #container: Container | null = null;
  #unsubscribe: (() => void) | null = null;
  #probe: NodeJS.Timeout | null = null;
  #closed = false;
  #identityFailed = false;
  #busy: { container: Container; passwd: Promise<BrokerResult<Buffer>> } | null = null;
  #announced = false;
  #state: Parameters<ProviderEvents['onState']> | null = null;
  /** Counts targets, so that an answer about an earlier one is known as such. */
  #target = 0;

  constructor(broker: Broker, containers: Containers, link: Link, events: ProviderEvents) {
    this.#broker = broker;
    this.#containers = containers;
    this.#link = link;
    this.#events = events;
  }

  /** The link's provider is now the container behind `link.providerPid`. Never rejects. */
  async retarget(link: Link, stamp: number): Promise<void> {
    const target = ++this.#target;
    this.#link = link;
    this.#leave();
    if (link.providerPid <= 0) {
      this.#absent(
        link.provider === RUNTIME_PROVIDER
          ? { code: 'type-unsupported', message: `The runtime provides no ${link.type} service.` }
          : { code: 'provider-not-running', message: `${link.provider} is not running.` },
      );
      return;
    }
    const held = await this.#containers.retain(link.provider, link.providerPid, stamp);
    if (held instanceof XConnectError) {
      if (target === this.#target && !this.#closed) this.#absent(held.toLinkError());
      return;
    }
    if (target !== this.#target || this.#closed) {
      this.#containers.release(held);
      return;
    }
    this.#container = held;
    this.#unsubscribe = held.onExit(() => {
      this.#leave();
      this.#absent({ code: 'provider-not-running', message: `${link.provider} has ended.` });
    });
    this.#events.onChange();
    await this.#look(target, PROBE_FIRST_MS);
  }

  get hasFixedIdentity(): boolean {
    return fixedIdentity(this.#link) !== null;
  }

  /** A request that the relay repeats for every connection; null: who or where we are is not known now. */
  standingRequest(type: SocketType): Buffer | null {
    const identity = fixedIdentity(this.#link);
    return identity && this.#container && this.#request(type, this.#container, identity);
  }

  /** One connection's request, with the identity as passwd says now. */
  async request(type: SocketType): Promise<Buffer | LinkError> {
    const address = await this.#address();
    if ('code' in address) return address;
    const request = this.#request(type, address.container, address.identity);
    return request ?? connectError(this.#link, 'EINVAL');
  }

  /** One connection, tried once; the descriptor is the caller's. `again`: trying again may help. */
  async connect(
    type: SocketType,
  ): Promise<{ fd: number; identity: Identity } | { error: LinkError; again: boolean }> {
    const address = await this.#address();
    if ('code' in address) {
      return { error: address, again: address.code === 'provider-not-running' };
    }
    const { container, identity } = address;
    const { uid, gid } = identity;
    const { socket } = this.#link;
    const made = await this.#broker.connectUnix(container.handle, type, socket, uid, gid);
    this.reached(made.ok ? null : made.errno);
    if (made.ok) return { fd: made.value, identity };
    return { error: connectError(this.#link, made.errno), again: isNotThereYet(made.errno) };
  }

  /** The relay's word on reaching the provider: 0, or an errno's name. */
  reached(errno: string | null): void {
    if (this.#closed || !this.#container) return;
    if (errno === null) {
      this.#stopLooking();
      this.#say('established', null);
      return;
    }
    this.#unreachable(errno);
    if (!this.#probe) this.#lookLater(this.#target, PROBE_FIRST_MS);
  }

  /** From now on the state is reported, beginning with what it is. */
  announce(): void {
    this.#announced = true;
    if (this.#state) this.#events.onState(...this.#state);
  }

  close(): void {
    this.#closed = true;
    this.#leave();
  }

  #say(...state: Parameters<ProviderEvents['onState']>): void {
    this.#state = state;
    if (this.#announced && !this.#closed) this.#events.onState(...state);
  }

  /** Which container, and who we are there: both as of one moment. */
  async #address(): Promise<{ container: Container; identity: Identity } | LinkError> {
    const container = this.#container;
    const { role, type, provider } = this.#link;
    if (!container) {
      return { code: 'provider-not-running', message: `${provider} is not running.` };
    }
    const fixed = fixedIdentity(this.#link);
    if (fixed) return { container, identity: fixed };
    const passwd = await this.#passwd(container);
    if (!container.alive) {
      return { code: 'provider-not-running', message: `${provider} has ended.` };
    }
    if (!passwd.ok && passwd.errno !== 'ENOENT') {
      const error: LinkError = {
        code: 'identity-unknown',
        message: `/etc/passwd of ${provider} can't be read (${passwd.errno}), so role ${role} has no uid.`,
      };
      this.#identityFailed = true;
      this.#say('failed', error);
      return error;
    }
    if (this.#identityFailed) this.#say('established', null);
    this.#identityFailed = false;
    const text = passwd.ok ? passwd.value.toString('utf8') : '';
    return { container, identity: resolveIdentity(role, type, text) };
  }

  /** While the container is busy a connection waits, as it would for the socket; one asks again for all. */
  async #passwd(container: Container): Promise<BrokerResult<Buffer>> {
    const read = await this.#broker.read(container.handle, PASSWD);
    if (read.ok || read.errno !== 'EBUSY') return read;
    if (this.#busy?.container !== container) {
      this.#busy = { container, passwd: this.#whenLessBusy(container) };
    }
    return this.#busy.passwd;
  }

  async #whenLessBusy(container: Container): Promise<BrokerResult<Buffer>> {
    for (let busyMs = 0; ; busyMs += PROBE_FIRST_MS) {
      await new Promise((resolve) => setTimeout(resolve, PROBE_FIRST_MS));
      const read = await this.#broker.read(container.handle, PASSWD);
      if (!read.ok && read.errno === 'EBUSY' && busyMs < BUSY_MOST_MS) continue;
      if (this.#busy?.container === container) this.#busy = null;
      return read;
    }
  }

  #request(type: SocketType, container: Container, { uid, gid }: Identity): Buffer | null {
    return this.#broker.encodeConnect(container.handle, type, this.#link.socket, uid, gid);
  }

  #leave(): void {
    this.#stopLooking();
    this.#unsubscribe?.();
    this.#unsubscribe = null;
    if (this.#container) this.#containers.release(this.#container);
    this.#container = null;
  }

  #absent(error: LinkError): void {
    this.#events.onChange();
    const state = error.code === 'type-unsupported' ? 'failed' : 'waiting';
    this.#say(state, error);
  }

  async #look(target: number, delayMs: number): Promise<void> {
    const container = this.#container;
    if (!container) return;
    const found = await this.#broker.probeUnix(container.handle, this.#link.socket);
    if (target !== this.#target || this.#closed || this.#container !== container) return;
    if (found.ok) {
      this.#say('established', null);
      return;
    }
    this.#unreachable(found.errno);
    this.#lookLater(target, delayMs);
  }

  #lookLater(target: number, delayMs: number): void {
    this.#probe = setTimeout(() => {
      this.#probe = null;
      void this.#look(target, Math.min(delayMs * 2, PROBE_MOST_MS));
    }, delayMs);
  }

  #stopLooking(): void {
    if (this.#probe) clearTimeout(this.#probe);
    this.#probe = null;
  }

  #unreachable(errno: string): void {
    const state = isNotThereYet(errno) ? 'waiting' : 'failed';
    this.#say(state, connectError(this.#link, errno));
  }
}
