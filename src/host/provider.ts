/**
 * The provider's end of one link: which container it is now, who we are to it, whether it is there.
 *
 * The container may change under the link at any time; `onChange` says so, and the listener of the link
 * never notices. Whether the provider's socket exists is looked up until it does, then it is the relay
 * that tells when connecting begins to fail.
 */
import type { Broker } from '../broker/client.js';
import { type Link, RUNTIME_PROVIDER } from '../graph/link.js';
import { type LinkError, XConnectError } from '../kernel/errors.js';
import type { SocketType } from '../plugins/plugin.js';
import type { Container, Containers } from './containers.js';
import { connectError, isNotThereYet } from './errno.js';
import { fixedIdentity, type Identity, resolveIdentity } from './identity.js';

const PROBE_FIRST_MS = 50;
const PROBE_MOST_MS = 2_000;

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

  /** A request that the relay repeats for every connection; null where who we are must be looked up anew. */
  standingRequest(type: SocketType): Buffer | null {
    const identity = fixedIdentity(this.#link);
    return identity && this.#request(type, identity);
  }

  get hasFixedIdentity(): boolean {
    return fixedIdentity(this.#link) !== null;
  }

  /** One connection's request, with the identity as passwd says now; a LinkError where it can't be told. */
  async request(type: SocketType): Promise<Buffer | LinkError> {
    const identity = await this.identity();
    if ('code' in identity) return identity;
    return (
      this.#request(type, identity) ?? {
        code: 'provider-not-running',
        message: `${this.#link.provider} is not running.`,
      }
    );
  }

  async identity(): Promise<Identity | LinkError> {
    const fixed = fixedIdentity(this.#link);
    if (fixed) return fixed;
    const { role, type, provider } = this.#link;
    if (!this.#container) {
      return { code: 'provider-not-running', message: `${provider} is not running.` };
    }
    const passwd = await this.#broker.read(this.#container.handle, '/etc/passwd');
    if (passwd.ok) return resolveIdentity(role, type, passwd.value.toString('utf8'));
    if (passwd.errno === 'ENOENT') return resolveIdentity(role, type, '');
    return {
      code: 'identity-unknown',
      message: `/etc/passwd of ${provider} can't be read (${passwd.errno}), so role ${role} has no uid.`,
    };
  }

  /** The relay's word on reaching the provider: 0, or an errno's name. */
  reached(errno: string | null): void {
    if (this.#closed || !this.#container) return;
    if (errno === null) {
      this.#stopLooking();
      this.#events.onState('established', null);
      return;
    }
    this.#unreachable(errno);
    if (!this.#probe) this.#lookLater(this.#target, PROBE_FIRST_MS);
  }

  close(): void {
    this.#closed = true;
    this.#leave();
  }

  #request(type: SocketType, identity: Identity): Buffer | null {
    if (!this.#container) return null;
    return this.#broker.encodeConnect(
      this.#container.handle,
      type,
      this.#link.socket,
      identity.uid,
      identity.gid,
    );
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
    this.#events.onState(state, error);
  }

  async #look(target: number, delayMs: number): Promise<void> {
    const container = this.#container;
    if (!container) return;
    const found = await this.#broker.probeUnix(container.handle, this.#link.socket);
    if (target !== this.#target || this.#closed || this.#container !== container) return;
    if (found.ok) {
      this.#events.onState('established', null);
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
    this.#events.onState(state, connectError(this.#link, errno));
  }
}
