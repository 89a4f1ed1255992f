/**
 * Says how a link is, out of what is said of its two ends:
 *
 *   provider's end ──> health ──> verification ──> target ──> the mesh
 *
 * A provider that can be reached but does not do its work makes the link failed; so does one that does not let the
 * consumer in (verification.ts), and a target that is lost, however the provider is. Nothing is said before `announce`,
 * when the mesh knows the attachment that it is about, nor before the provider's end was spoken of.
 */
import type { LinkError } from '../kernel/errors.js';
import type { AttachedListener } from '../mesh/attacher.js';
import type { Seen } from '../plugins/plugin.js';
import { type Check, Verification } from './verification.js';

type State = Parameters<AttachedListener['onState']>;

export class Announcer {
  readonly #tell: AttachedListener['onState'];
  readonly #verification = new Verification((...state) => {
    this.#verified = state;
    this.#speak();
  });
  #said: Seen | null = null;
  #verified: State | null = null;
  #health: LinkError | null = null;
  #target: LinkError | null = null;
  #isAnnounced = false;
  #isClosed = false;

  constructor(tell: AttachedListener['onState']) {
    this.#tell = tell;
  }

  /** What was said of the provider's end last, whatever became of it. */
  get said(): Seen | null {
    return this.#said;
  }

  /** How the provider's end is. */
  say(seen: Seen): void {
    this.#said = seen;
    this.#pass();
  }

  /** The provider is there, but (not null) does not do its work. */
  health(error: LinkError | null): void {
    this.#health = error;
    this.#pass();
  }

  /** Why the consumer has no target now; null: it has. */
  target(error: LinkError | null): void {
    if (error === this.#target) return;
    this.#target = error;
    this.#speak();
  }

  /** As of Verification: whether the provider lets the consumer in. The returned function doubts it. */
  verify(check: Check): () => void {
    this.#verification.by(check);
    return () => this.#verification.doubt();
  }

  /** The provider is another one from now on. */
  anew(): void {
    this.#verification.anew();
  }

  /** From now on it is said, beginning with what is. */
  announce(): void {
    this.#isAnnounced = true;
    this.#pass();
  }

  /** The link has ended: nothing is said any more. */
  close(): void {
    this.#isClosed = true;
    this.#verification.close();
  }

  #pass(): void {
    if (!this.#said || !this.#isAnnounced || this.#isClosed) return;
    const { error, waits = false } = this.#said;
    if (error) this.#verification.state(waits ? 'waiting' : 'failed', error);
    else if (this.#health) this.#verification.state('failed', this.#health);
    else this.#verification.state('established', null);
  }

  #speak(): void {
    if (!this.#verified || this.#isClosed) return;
    if (this.#target) this.#tell('failed', this.#target);
    else this.#tell(...this.#verified);
  }
}
