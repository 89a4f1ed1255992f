/**
 * Whether a provider is there: found by looking, one look at a time, and shown by connecting, which counts for more.
 * Both are said to the link's announcer.
 *
 *            anew, soon             it is not there
 *    idle ──────────────> looking ──────────────────> waiting
 *     ^ ^                  │   ^                       │   │
 *     │ └─ it is there ────┘   └── its time has come ──┘   │
 *     │                            anew, soon              │
 *     └───────────── stop, or a connection was made ───────┘
 *
 * It waits 50 ms, doubling to 2 s; so it does, from idle, when a connection failed. What happens during a look:
 *
 *     anew, stop                the finding is about something earlier: it is dropped
 *     a connection was made     the finding is dropped, and it becomes idle
 *     a connection failed       the finding is dropped, and it becomes waiting
 *     soon                      it looks once more
 *
 * A steady look goes on 2 s after the provider was found to be there, for nobody else tells when it leaves. What is
 * looked for then is more than a connection shows.
 */
import { BackOff } from '../kernel/back-off.js';
import { Retry } from '../kernel/retry.js';
import type { Seen } from '../plugins/plugin.js';

const FIRST_MS = 50;
const MOST_MS = 2_000;

interface UnderWay {
  /** Null: as the finding has it. */
  next: 'soon' | 'later' | 'idle' | null;
  /** A connection has shown something since it began. */
  isOvertaken: boolean;
}

export class ProviderLook {
  readonly #say: (seen: Seen) => void;
  readonly #look: () => Promise<Seen | null>;
  readonly #notThere = new Retry(new BackOff(MOST_MS, FIRST_MS));
  readonly #steady = new Retry(new BackOff(MOST_MS, MOST_MS));
  #underWay: UnderWay | null = null;

  /** `look` does not reject; it finds null where nothing can be said that is not known already. */
  constructor(
    say: (seen: Seen) => void,
    look: () => Promise<Seen | null>,
    readonly isSteady = false,
  ) {
    this.#say = say;
    this.#look = look;
  }

  /** At something else than before. Resolves when this look has ended. */
  anew(): Promise<void> {
    this.stop();
    return this.#take();
  }

  /** There is reason to look now: called as often as somebody likes, who may be a consumer. */
  soon(): void {
    if (this.#underWay) this.#underWay.next = 'soon';
    else void this.anew();
  }

  /** What a connection has shown. Not for a steady one. */
  shown(seen: Seen): void {
    this.#say(seen);
    const look = this.#underWay;
    if (look) {
      look.isOvertaken = true;
      if (look.next !== 'soon') look.next = seen.error ? 'later' : 'idle';
    } else if (!seen.error) {
      this.stop();
    } else if (!this.#notThere.isPending) {
      this.#again(this.#notThere);
    }
  }

  stop(): void {
    this.#underWay = null;
    this.#notThere.reset();
    this.#steady.reset();
  }

  async #take(): Promise<void> {
    const look: UnderWay = { next: null, isOvertaken: false };
    this.#underWay = look;
    const seen = await this.#look();
    if (this.#underWay !== look) return;
    if (seen && !look.isOvertaken) this.#say(seen);
    if (this.#underWay !== look) return; // who was told may have stopped it
    this.#underWay = null;
    const isThere = seen?.error === null;
    const next = look.next ?? (!isThere ? 'later' : this.isSteady ? 'steadily' : 'idle');
    if (next === 'later') this.#again(this.#notThere);
    else this.#notThere.reset();
    if (next === 'soon') void this.#take();
    if (next === 'steadily') this.#again(this.#steady);
  }

  #again(retry: Retry): void {
    retry.schedule(() => void this.#take());
  }
}
