/**
 * A container as the provider's end of one link: which container it is now, who we are to it, whether it is there.
 *
 * The container may change under the link at any time; `onChange` says so, and the listener of the link never notices.
 * What is said of it, and who moves it (what is looked for is the link's socket, or what a plugin looks for instead):
 *
 *     from            by                                                         to
 *     anything        no pid, a pid that can't be held, the container's end      waiting (not running)
 *     established     another container, until it was looked at                  waiting
 *     anything        a look that found it there, and us to be somebody there    established
 *     anything        a look that did not                                        waiting, failed
 *     anything        a connection that was made                                 established
 *     anything        a connection that failed; no uid for the role              waiting, failed
 *     failed          a ring that is open again: what is there now, a look finds
 *
 * Failed is what a person has to mend, waiting what the provider may mend by itself. A look does not move what it can't
 * see: that connecting is refused though somebody listens.
 */
import type { Broker } from '../broker/client.js';
import type { Link } from '../graph/link.js';
import type { LinkError } from '../kernel/errors.js';
import { type Attempt, failed, ok, type Result } from '../kernel/result.js';
import type { Identity, Seen, SocketType } from '../plugins/plugin.js';
import type { Container, Containers } from './containers.js';
import { connectError, identityError, isNotThereYet, listenError, notRunning } from './errno.js';
import { resolveIdentity } from './identity.js';
import { PasswdReader } from './passwd-reader.js';
import {
  type AskLed,
  type Connected,
  endedMeanwhile,
  type ListeningAt,
  type ProviderEnd,
  type ProviderParts,
  unlessBack,
} from './provider.js';
import { ProviderLook } from './provider-look.js';
import { Reach } from './reach.js';

/** A kernel that does not know who listens: then it is assumed, and the first connection shows. */
const CANNOT_TELL = 'EOPNOTSUPP';

export interface ContainerProviderParts extends ProviderParts {
  readonly broker: Broker;
  readonly containers: Containers;
}

interface Address {
  readonly container: Container;
  readonly identity: Identity;
}

export class ContainerProvider implements ProviderEnd {
  readonly #parts: ContainerProviderParts;
  readonly #passwd: PasswdReader;
  readonly #say = (seen: Seen) => this.#parts.announcer.say(seen);
  /** For the link's socket, or steadily for what a plugin needs. */
  #look: ProviderLook;
  readonly #refusals = new Refusals();
  #link: Link;
  #reach: Reach;
  #container: Container | null = null;
  #unsubscribe: (() => void) | null = null;
  /** Counts targets, so that a container that was held for an earlier one is known as such. */
  #target = 0;
  /** No uid was found for the role, when one was needed last. */
  #isNobody = false;
  #isClosed = false;

  constructor(parts: ContainerProviderParts, link: Link) {
    this.#parts = parts;
    this.#link = link;
    this.#reach = new Reach(parts.broker, link);
    this.#passwd = new PasswdReader(parts.broker);
    this.#look = new ProviderLook(this.#say, () => this.#lookForSocket());
  }

  get container(): Container | null {
    return this.#container;
  }

  get hasFixedIdentity(): boolean {
    return this.#reach.identity !== null;
  }

  async retarget(link: Link, stamp: number): Promise<void> {
    const { broker, containers, onChange } = this.#parts;
    const target = ++this.#target;
    this.#link = link;
    this.#reach = new Reach(broker, link);
    this.#refusals.forget();
    this.#leave();
    if (this.#parts.announcer.said?.error === null) {
      this.#say({ error: notLookedAt(link), waits: true });
    }
    if (link.providerPid <= 0) {
      this.#absent(notRunning(link));
      return;
    }
    const held = await containers.retain(link.provider, link.providerPid, stamp);
    if (target !== this.#target || this.#isClosed) {
      if (held.ok) containers.release(held.value);
      return;
    }
    if (!held.ok) {
      this.#absent(held.error);
      return;
    }
    this.#container = held.value;
    this.#unsubscribe = held.value.onExit(() => {
      this.#leave();
      this.#absent(hasEnded(link));
    });
    onChange();
    await this.#look.anew();
  }

  standingRequest(type: SocketType): Buffer | null {
    const { identity } = this.#reach;
    return identity && this.#container && this.#reach.request(this.#container, type, identity);
  }

  async request(type: SocketType, path?: string): Promise<Result<Buffer>> {
    const address = await this.#address();
    if (!address.ok) {
      if (this.#isNobody && this.#look.isSteady) this.soon();
      return address;
    }
    const { container, identity } = address.value;
    const request = this.#reach.request(container, type, identity, path);
    return request ? ok(request) : failed(connectError(this.#link, 'EINVAL'));
  }

  async connect(type: SocketType, timeoutMs: number, led: AskLed): Promise<Attempt<Connected>> {
    const address = await this.#address();
    if (!address.ok) {
      return { ...address, waits: address.error.code === 'provider-not-running' };
    }
    const { container, identity } = address.value;
    const made = await this.#reach.connect(container, type, identity, timeoutMs);
    if (this.#isClosed) return endedMeanwhile(this.#link, made);
    const kept = await unlessBack(made, led, (errno) => {
      if (container === this.#container) this.#shown(errno);
    });
    if (this.#isClosed) return endedMeanwhile(this.#link, kept);
    if (kept.ok) return ok({ fd: kept.value, identity });
    const error = connectError(this.#link, kept.errno);
    return { ok: false, error, waits: isNotThereYet(kept.errno) };
  }

  async listen(path: string): Promise<Result<ListeningAt>> {
    const container = this.#container;
    const at = { consumer: this.#link.provider, target: path };
    if (!container) return failed(listenError(at, 'ESRCH'));
    const made = await this.#parts.broker.listenUnix(container.handle, 'stream', path);
    return made.ok ? ok({ container, planted: made.value }) : failed(listenError(at, made.errno));
  }

  reached(errno: string | null): void {
    if (!this.#container) return;
    if (errno === null && this.#isInRing) this.released();
    else if (!this.#look.isSteady) this.#shown(errno);
    else if (errno !== null) this.soon();
  }

  released(): void {
    if (!this.#isInRing) return;
    this.#refusals.forget();
    this.soon();
  }

  lookWith(look: () => Promise<Seen>): void {
    this.#look.stop();
    this.#look = new ProviderLook(this.#say, () => this.#lookAs(look), true);
    if (this.#container) void this.#look.anew();
  }

  soon(): void {
    if (this.#container) this.#look.soon();
  }

  close(): void {
    this.#isClosed = true;
    this.#leave();
  }

  get #isInRing(): boolean {
    return this.#parts.announcer.said?.error?.code === 'provider-loop';
  }

  /** What a connection has shown. A steady look, which may be what made it, tells by itself. */
  #shown(errno: string | null): void {
    if (this.#look.isSteady) return;
    if (errno === null) this.#refusals.forget();
    else this.#refusals.note(errno, this.#parts.announcer.said?.error === null);
    this.#look.shown(errno === null ? { error: null } : this.#unreached(errno));
  }

  #unreached(errno: string): Seen {
    return { error: connectError(this.#link, errno), waits: isNotThereYet(errno) };
  }

  /** Which container, and who we are there: both as of one moment. */
  async #address(): Promise<Result<Address>> {
    const container = this.#container;
    if (!container) return failed(notRunning(this.#link));
    const identity = await this.#identityIn(container);
    if (!container.alive) return failed(hasEnded(this.#link));
    if (identity.ok) return ok({ container, identity: identity.value });
    if (container === this.#container && !this.#look.isSteady) this.#look.shown(identity);
    return identity;
  }

  /** Who we are there, as its passwd says now. */
  async #identityIn(container: Container): Promise<Result<Identity>> {
    const fixed = this.#reach.identity;
    if (fixed) return ok(fixed);
    const { role, type, provider } = this.#link;
    const passwd = await this.#passwd.read(container);
    this.#isNobody = !passwd.ok && passwd.errno !== 'ENOENT';
    if (passwd.ok) return ok(resolveIdentity(role, type, passwd.value.toString('utf8')));
    if (passwd.errno === 'ENOENT') return ok(resolveIdentity(role, type, ''));
    return failed(identityError(provider, role, passwd.errno));
  }

  #leave(): void {
    this.#look.stop();
    this.#isNobody = false;
    this.#unsubscribe?.();
    this.#unsubscribe = null;
    if (this.#container) this.#parts.containers.release(this.#container);
    this.#container = null;
  }

  #absent(error: LinkError): void {
    this.#parts.onChange();
    this.#say({ error, waits: true });
  }

  /** Null: nothing can be said that is not known already. */
  async #lookForSocket(): Promise<Seen | null> {
    const container = this.#container;
    if (!container) return null;
    const found = await this.#reach.probe(container);
    if (found.ok || found.errno === CANNOT_TELL) {
      if (this.#refusals.isFirm || (!found.ok && this.#refusals.isRefused)) return null;
      const identity = await this.#identityIn(container);
      return { error: identity.ok ? null : identity.error };
    }
    this.#refusals.forget(); // who comes after may do otherwise
    return this.#unreached(found.errno);
  }

  /** As the plugin does, which may not need to be somebody there; but consumers may. */
  async #lookAs(look: () => Promise<Seen>): Promise<Seen | null> {
    const seen = await look();
    const container = this.#container;
    if (seen.error || !this.#isNobody || !container) return seen;
    const identity = await this.#identityIn(container);
    return identity.ok ? seen : { error: identity.error };
  }
}

/** Refusals that no look sees, only who connects: not to be let in, or (EDEADLK) to come back to the link itself. */
const UNSEEN = new Set(['EACCES', 'EPERM', 'EPROTOTYPE', 'EDEADLK']);
/** A look that said the provider is there was wrong so often that it is believed no longer. */
const MOST_WRONG = 2;

/** What attempts to connect have shown of a provider that listens, for all that a look can tell. */
class Refusals {
  /** The last attempt failed. */
  isRefused = false;
  /** The next one will, too: only a connection, or another socket, changes that. */
  isFirm = false;
  /** Attempts that failed where a look had said that it is there, since one succeeded. */
  #wrongLooks = 0;

  note(errno: string, wasSaidToBeThere: boolean): void {
    this.isRefused = true;
    if (wasSaidToBeThere) this.#wrongLooks++;
    this.isFirm ||= UNSEEN.has(errno) || this.#wrongLooks >= MOST_WRONG;
  }

  forget(): void {
    this.isRefused = false;
    this.isFirm = false;
    this.#wrongLooks = 0;
  }
}

function hasEnded({ provider }: Link): LinkError {
  return { code: 'provider-not-running', message: `${provider} has ended.` };
}

function notLookedAt({ provider, socket }: Link): LinkError {
  const message = `${socket} in ${provider}: the container is another process now, and was not looked at yet.`;
  return { code: 'provider-socket-missing', message };
}
