/**
 * Which changes of owners the consumer itself asked the bus for: ours is asked for all of them, on its connection.
 */
import { asksForOwnerOf, type MatchRule, parseMatchRule } from './match-rule.js';

/** More than this, and it hears of all that it may see. */
const MAX_RULES = 1024;

export class Wishes {
  /** By their text, with how often they were added. */
  readonly #rules = new Map<string, { readonly rule: MatchRule; count: number }>();
  #isFull = false;

  added(text: string): void {
    const known = this.#rules.get(text);
    if (known) {
      known.count++;
      return;
    }
    const rule = parseMatchRule(text);
    if (!rule) return;
    if (this.#rules.size < MAX_RULES) this.#rules.set(text, { rule, count: 1 });
    else this.#isFull = true;
  }

  removed(text: string): void {
    const known = this.#rules.get(text);
    if (known && --known.count === 0) this.#rules.delete(text);
  }

  wantsOwnerOf(name: string): boolean {
    if (this.#isFull) return true;
    for (const { rule } of this.#rules.values()) if (asksForOwnerOf(rule, name)) return true;
    return false;
  }
}
