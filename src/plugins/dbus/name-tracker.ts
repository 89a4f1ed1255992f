/**
 * Who owns which name on a bus, as one connection learns it. The signal `NameOwnerChanged` comes in order with all
 * other messages, so each message is judged by the owners at the time when the bus sent it. Pure.
 *
 * Only names that the consumer may see are followed; in audit mode all are, since the rights that are missing have to
 * be named. Memory is bounded: names and clients beyond the limits are taken for unknown ones.
 */
import { isUnique } from './names.js';
import { type Grant, Level, NOTHING, type Policy, SEE, TALK, together } from './policy.js';

const MAX_NAMES = 16_384;
const MAX_KNOWN = 16_384;
const NO_NAMES: ReadonlySet<string> = new Set();

export class NameTracker {
  readonly #policy: Policy;
  readonly #followsAll: boolean;
  readonly #owners = new Map<string, string>();
  /** The well-known names of each unique one. */
  readonly #names = new Map<string, Set<string>>();
  /** What the consumer may do towards a unique name. A cache: what is missing is put together anew. */
  readonly #grants = new Map<string, Grant>();
  /** Unique names that the consumer may see: they once owned a name that it may see, or have spoken to it. */
  readonly #known = new Set<string>();
  /** Unique names that have called the consumer. */
  readonly #callers = new Set<string>();
  /** The consumer's unique name. */
  #self: string | undefined;

  constructor(policy: Policy, followsAll = false) {
    this.#policy = policy;
    this.#followsAll = followsAll;
  }

  /** Whether it matters who owns this well-known name. */
  isFollowed(name: string): boolean {
    return this.#followsAll || this.#isVisible(name);
  }

  isSelf(name: string): boolean {
    return name === this.#self;
  }

  setSelf(name: string): void {
    this.#self = name;
  }

  /** A NameOwnerChanged. `owner`: empty where nobody owns the name any more. */
  changed(name: string, owner: string): void {
    if (isUnique(name)) {
      if (owner === '') this.#forget(name);
      return;
    }
    if (!this.isFollowed(name)) return;
    const before = this.#owners.get(name);
    if (before === owner) return;
    if (before !== undefined) this.#take(name, before);
    if (owner !== '' && this.#owners.size < MAX_NAMES) this.#give(name, owner);
  }

  /** This unique name has sent the consumer a message, by which the consumer knows of it. */
  met(unique: string): void {
    if (this.#known.has(unique)) return;
    if (this.#known.size < MAX_KNOWN) this.#known.add(unique);
    this.#grants.delete(unique);
  }

  /** This unique name has called the consumer. */
  calledBy(unique: string): void {
    this.met(unique);
    if (this.#callers.size < MAX_KNOWN) this.#callers.add(unique);
  }

  /** Whether it has called the consumer, and is still on the bus. */
  hasCalled(unique: string): boolean {
    return this.#callers.has(unique);
  }

  namesOf(unique: string): ReadonlySet<string> {
    return this.#names.get(unique) ?? NO_NAMES;
  }

  /** What the consumer may do towards a name, unique or well-known. */
  towards(name: string): Grant {
    if (!isUnique(name)) return this.#policy.towards(name);
    const remembered = this.#grants.get(name);
    if (remembered) return remembered;
    const grant = this.#find(name);
    // Names that nobody has are not cached: a consumer could make up any number of them.
    if (this.#known.has(name)) this.#grants.set(name, grant);
    return grant;
  }

  #find(unique: string): Grant {
    if (this.isSelf(unique)) return TALK;
    const { everybody } = this.#policy;
    const ofNames = [...this.namesOf(unique)].map((name) => this.#policy.towards(name));
    return together([everybody, this.#known.has(unique) ? SEE : NOTHING, ...ofNames]);
  }

  #give(name: string, owner: string): void {
    this.#owners.set(name, owner);
    const names = this.#names.get(owner) ?? new Set();
    this.#names.set(owner, names.add(name));
    if (this.#isVisible(name) && this.#known.size < MAX_KNOWN) this.#known.add(owner);
    this.#grants.delete(owner);
  }

  #isVisible(name: string): boolean {
    return this.#policy.towards(name).level >= Level.see;
  }

  #take(name: string, owner: string): void {
    this.#owners.delete(name);
    this.#names.get(owner)?.delete(name);
    if (this.#names.get(owner)?.size === 0) this.#names.delete(owner);
    this.#grants.delete(owner);
  }

  #forget(unique: string): void {
    for (const name of this.namesOf(unique)) this.#owners.delete(name);
    this.#names.delete(unique);
    this.#grants.delete(unique);
    this.#known.delete(unique);
    this.#callers.delete(unique);
  }
}
