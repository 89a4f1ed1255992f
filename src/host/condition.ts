/**
 * The state of one link, out of what is said of its two ends: a target that is lost is why the consumer can't connect,
 * however its provider does. Nothing is told before the provider's end was spoken of for the first time.
 */
import type { LinkError } from '../kernel/errors.js';
import type { AttachedListener } from '../mesh/attacher.js';

type Told = Parameters<AttachedListener['onState']>;

export class Condition {
  readonly #tell: AttachedListener['onState'];
  #provider: Told | null = null;
  #target: LinkError | null = null;

  constructor(tell: AttachedListener['onState']) {
    this.#tell = tell;
  }

  /** What the provider's end says of itself. */
  provider(...state: Told): void {
    this.#provider = state;
    this.#say();
  }

  /** Why the consumer has no target now; null: it has. */
  target(error: LinkError | null): void {
    if (error === this.#target) return;
    this.#target = error;
    this.#say();
  }

  #say(): void {
    if (!this.#provider) return;
    if (this.#target) this.#tell('failed', this.#target);
    else this.#tell(...this.#provider);
  }
}
