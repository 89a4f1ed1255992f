/**
 * The provider's end of one link: which container it is now, who we are to it, whether it is there.
 *
 * The container may change under the link at any time; `onChange` says so, and the listener of the link
 * never notices. Whether the provider's socket exists is looked up until it does, then it is the relay
 * that tells when connecting begins to fail.
 */
import type { Broker, Planted } from '../broker/client.js';
import { type Link, RUNTIME_PROVIDER } from '../graph/link.js';
import { type LinkError, XConnectError } from '../kernel/errors.js';
import type { ErrnoResult } from '../kernel/result.js';
import type { Identity, Seen, SocketType } from '../plugins/plugin.js';
import type { Led } from '../relay/relay.js';
import { type Container, type Containers, THE_HOST } from './containers.js';
import { connectError, identityError, isNotThereYet } from './errno.js';
import { resolveIdentity } from './identity.js';
import { PasswdReader } from './passwd-reader.js';
import { endedMeanwhile, Reach, unlessBack } from './reach.js';

const PROBE_FIRST_MS = 50;
const PROBE_MOST_MS = 2_000;
/** A kernel that does not know who listens: then it is assumed, and the first connection shows. */
const CANNOT_TELL = 'EOPNOTSUPP';
/** Refusals that no look sees, only who connects: not to be let in, or (EDEADLK) to come back to the link itself. */
const UNSEEN = new Set(['EACCES', 'EPERM', 'EPROTOTYPE', 'EDEADLK']);
/** A look that said the provider is there was wrong so often that it is believed no longer. */
const MOST_WRONG = 2;

export interface ProviderEvents {
  /** Connections go elsewhere from now on, or (no container) have to wait. */
  onChange(): void;
  onState(state: 'established' | 'waiting' | 'failed', error: LinkError | null): void;
}

/** What the link's host needs of a provider's end, of whatever kind that is. */
export type LinkProvider = Pick<Provider, keyof Provider>;
/** A look at what the link needs of its provider, in the container that this is now. */
export type Look = (container: Container) => Promise<Seen>;

export class Provider {
  readonly #broker: Broker;
  readonly #containers: Containers;
  readonly #events: ProviderEvents;
  readonly #passwd: PasswdReader;
  #link: Link;
  #reach: Reach;
  #container: Container | null = null;
  #unsubscribe: (() => void) | null = null;
  #probe: NodeJS.Timeout | null = null;
  #lookFor: Look | null = null;
  #mayBeHost = false;
  #stamp = 0;
  #closed = false;
  #health: LinkError | null = null;
  #identityFailed = false;
  /** The last attempt to connect failed. */
  #refused = false;
  /** It will again, for all that a look can tell: only a connection, or another socket, changes that. */
  #isFirm = false;
  /** Attempts that failed where a look had said that it is there, since one succeeded. */
  #wrongLooks = 0;
  #announced = false;
  #state: Parameters<ProviderEvents['onState']> | null = null;
  /** Counts targets, so that an answer about an earlier one is known as such. */
  #target = 0;
  /** The target that is being looked at, and whether there is reason to look once more. */
  #looking: number | null = null;
  #again = false;

  constructor(broker: Broker, containers: Containers, link: Link, events: ProviderEvents) {
    this.#broker = broker;
    this.#containers = containers;
    this.#link = link;
    this.#reach = new Reach(broker, link);
    this.#events = events;
    this.#passwd = new PasswdReader(broker);
  }

  /** The link's provider is now the container behind `link.providerPid`. Never rejects. */
  async retarget(link: Link, stamp: number): Promise<void> {
    const target = ++this.#target;
    this.#link = link;
    this.#stamp = stamp;
    this.#reach = new Reach(this.#broker, link);
    this.#forgetRefusals();
    this.#leave();
    if (this.#mayBeHost && link.provider === RUNTIME_PROVIDER) {
      this.#container = THE_HOST;
      this.#events.onChange();
      await this.#look(target, PROBE_FIRST_MS);
      return;
    }
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

  /**
   * Looks for this in place of the link's socket from now on, and goes on when it is there: it may leave.
   * `mayBeHost`: a provider `_pv_` means the host itself.
   */
  lookWith(look: Look, { mayBeHost = false } = {}): void {
    this.#lookFor = look;
    this.#mayBeHost = mayBeHost;
    void this.retarget(this.#link, this.#stamp);
  }

  /** There is reason to look now: as often as somebody likes, who may be a consumer. */
  soon(): void {
    if (this.#closed || !this.#lookFor || !this.#container) return;
    if (this.#looking === this.#target) {
      this.#again = true;
      return;
    }
    this.#stopLooking();
    void this.#look(++this.#target, PROBE_FIRST_MS);
  }

  get hasFixedIdentity(): boolean {
    return this.#reach.identity !== null;
  }

  /** A request that the relay repeats for every connection; null: who or where we are is not known now. */
  standingRequest(type: SocketType): Buffer | null {
    const { identity } = this.#reach;
    return identity && this.#container && this.#reach.request(this.#container, type, identity);
  }

  /** One connection's request, with the identity as passwd says now. */
  async request(type: SocketType, path?: string): Promise<Buffer | LinkError> {
    const address = await this.#address();
    if ('code' in address) return address;
    const request = this.#reach.request(address.container, type, address.identity, path);
    return request ?? connectError(this.#link, 'EINVAL');
  }

  /** A listening stream socket of ours in the provider; null: it is not running. */
  async listen(path: string): Promise<{ container: Container; made: ErrnoResult<Planted> } | null> {
    const container = this.#container;
    if (!container) return null;
    return { container, made: await this.#broker.listenUnix(container.handle, 'stream', path) };
  }

  /**
   * One connection, tried once and at most `timeoutMs`; the descriptor is the caller's. `again`: trying again may
   * help. `led`: says where it leads, as of RelayLink.
   */
  async connect(
    type: SocketType,
    timeoutMs: number,
    led: (fd: number) => Led,
  ): Promise<{ fd: number; identity: Identity } | { error: LinkError; again: boolean }> {
    const address = await this.#address();
    if ('code' in address) {
      return { error: address, again: address.code === 'provider-not-running' };
    }
    const { container, identity } = address;
    const made = await this.#reach.connect(container, type, identity, timeoutMs);
    if (this.#closed) return endedMeanwhile(this.#link, made);
    const kept = unlessBack(made, led, (errno) => {
      if (!this.#lookFor) this.reached(errno);
    });
    if ('fd' in kept) return { fd: kept.fd, identity };
    return { error: connectError(this.#link, kept.errno), again: isNotThereYet(kept.errno) };
  }

  /** The relay's word on reaching the provider: 0, or an errno's name. */
  reached(errno: string | null): void {
    if (this.#closed || !this.#container) return;
    if (this.#lookFor) {
      if (errno !== null) this.soon();
      return;
    }
    if (errno === null) {
      this.#forgetRefusals();
      this.#stopLooking();
      this.#say('established', null);
      return;
    }
    this.#refused = true;
    if (this.#state?.[0] === 'established') this.#wrongLooks++;
    this.#isFirm ||= UNSEEN.has(errno) || this.#wrongLooks >= MOST_WRONG;
    this.#unreachable(errno);
    if (!this.#probe) this.#lookLater(this.#target, PROBE_FIRST_MS);
  }

  /** It is there, but (not null) does not do its work. */
  reportHealth(error: LinkError | null): void {
    this.#health = error;
    if (this.#state) this.#tell(this.#state);
  }

  /** The ring is open that the link was of: what was reached leads to an end. */
  released(): void {
    if (this.#state?.[1]?.code === 'provider-loop') this.reached(null);
  }

  /** From now on the state is reported, beginning with what it is. */
  announce(): void {
    this.#announced = true;
    if (this.#state) this.#tell(this.#state);
  }

  close(): void {
    this.#closed = true;
    this.#leave();
  }

  #say(...state: Parameters<ProviderEvents['onState']>): void {
    this.#state = state;
    this.#tell(state);
  }

  #tell([state, error]: Parameters<ProviderEvents['onState']>): void {
    if (!this.#announced || this.#closed) return;
    const sick = state === 'established' ? this.#health : null;
    this.#events.onState(sick ? 'failed' : state, sick ?? error);
  }

  /** Which container, and who we are there: both as of one moment. */
  async #address(): Promise<{ container: Container; identity: Identity } | LinkError> {
    const container = this.#container;
    const { provider } = this.#link;
    if (!container) {
      return { code: 'provider-not-running', message: `${provider} is not running.` };
    }
    const fixed = this.#reach.identity;
    if (fixed) return { container, identity: fixed };
    const identity = await this.#identityIn(container);
    if (!container.alive) {
      return { code: 'provider-not-running', message: `${provider} has ended.` };
    }
    if ('code' in identity) {
      this.#identityFailed = true;
      this.#say('failed', identity);
      return identity;
    }
    if (this.#identityFailed) this.#say('established', null);
    this.#identityFailed = false;
    return { container, identity };
  }

  /** Who we are there, as its passwd says now. */
  async #identityIn(container: Container): Promise<Identity | LinkError> {
    const { role, type, provider } = this.#link;
    const passwd = await this.#passwd.read(container);
    if (passwd.ok) return resolveIdentity(role, type, passwd.value.toString('utf8'));
    if (passwd.errno === 'ENOENT') return resolveIdentity(role, type, '');
    return identityError(provider, role, passwd.errno);
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
    this.#looking = target;
    this.#again = false;
    const seen = await (this.#lookFor?.(container) ?? this.#lookForSocket(container));
    if (this.#looking === target) this.#looking = null;
    if (target !== this.#target || this.#closed || this.#container !== container) return;
    if (!seen) {
      this.#lookLater(target, delayMs);
      return;
    }
    this.#say(!seen.error ? 'established' : seen.waits ? 'waiting' : 'failed', seen.error);
    if (this.#again) void this.#look(target, PROBE_FIRST_MS);
    else if (seen.error) this.#lookLater(target, delayMs);
    else if (this.#lookFor) this.#lookLater(target, PROBE_MOST_MS);
  }

  /** Null: nothing can be said that is not known already. */
  async #lookForSocket(container: Container): Promise<Seen | null> {
    const errno = await this.#reach.probe(container);
    if (errno === CANNOT_TELL && this.#refused) return null;
    if (errno === null || errno === CANNOT_TELL) {
      if (this.#isFirm) return null;
      const identity = this.#reach.identity ?? (await this.#identityIn(container));
      return { error: 'code' in identity ? identity : null };
    }
    this.#forgetRefusals(); // who comes after may do otherwise
    return { error: connectError(this.#link, errno), waits: isNotThereYet(errno) };
  }

  #forgetRefusals(): void {
    this.#refused = false;
    this.#isFirm = false;
    this.#wrongLooks = 0;
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
