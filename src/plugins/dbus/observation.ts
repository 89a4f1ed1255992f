/**
 * Observers of what a link's consumer does on its bus: `pv-xconnect learn` is one as long as it runs. A link without an
 * observer and without a policy has none of its messages read. Made by the daemon, which shows it to the control
 * socket.
 */
import type { Use } from '../../graph/use.js';

export type Observer = (use: Use) => void;

export class Observation {
  readonly #observers = new Map<string, Set<Observer>>();

  /** `link`: as `linkId` names it. The returned function ends the observation. */
  observe(link: string, observer: Observer): () => void {
    const observers = this.#observers.get(link) ?? new Set();
    this.#observers.set(link, observers.add(observer));
    return () => {
      observers.delete(observer);
      if (observers.size === 0) this.#observers.delete(link);
    };
  }

  isObserved(link: string): boolean {
    return this.#observers.has(link);
  }

  tell(link: string, use: Use): void {
    for (const observer of this.#observers.get(link) ?? []) observer(use);
  }
}
