/**
 * Which changes of owners the consumer itself asked the bus for: ours is asked for all of them, on its connection. How
 * many rules it has makes no difference to what one change costs.
 */
import { type OwnersWanted, ownersAskedFor, parseMatchRule } from './match-rule.js';

/** More than this, and it hears of all that it may see. */
const MAX_RULES = 1024;

export class Wishes {
  /** Those that ask for owners, by their text, with how often they were added. */
  readonly #rules = new Map<string, { readonly wanted: OwnersWanted; count: number }>();
  readonly #names = new Counts();
  readonly #namespaces = new Counts();
  #all = 0;
  #isFull = false;

  /** The consumer asks the bus for what matches that rule. */
  added(text: string): void {
    const known = this.#rules.get(text);
    if (known) {
      known.count++;
      return;
    }
    const rule = parseMatchRule(text);
    const wanted = rule && ownersAskedFor(rule);
    if (!wanted) return;
    if (this.#rules.size >= MAX_RULES) {
      this.#isFull = true;
      return;
    }
    this.#rules.set(text, { wanted, count: 1 });
    this.#note(wanted, 1);
  }

  /** Takes that back: what was added twice is there until it is removed twice. */
  removed(text: string): void {
    const known = this.#rules.get(text);
    if (!known || --known.count > 0) return;
    this.#rules.delete(text);
    this.#note(known.wanted, -1);
  }

  /** Whether a change of that name's owner is to be told. */
  wantsOwnerOf(name: string): boolean {
    if (this.#isFull || this.#all > 0 || this.#names.has(name)) return true;
    if (this.#namespaces.isEmpty) return false;
    for (let end = name.length; end > 0; end = name.lastIndexOf('.', end - 1)) {
      if (this.#namespaces.has(name.slice(0, end))) return true;
    }
    return false;
  }

  #note({ name, namespace }: OwnersWanted, change: 1 | -1): void {
    if (name !== undefined) this.#names.add(name, change);
    else if (namespace !== undefined) this.#namespaces.add(namespace, change);
    else this.#all += change;
  }
}

class Counts {
  readonly #counts = new Map<string, number>();

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  has(key: string): boolean {
    return this.#counts.has(key);
  }

  add(key: string, change: number): void {
    const count = (this.#counts.get(key) ?? 0) + change;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }
}
