/**
 * The daemon's part in an upgrade: it hands its work to a daemon of the version that is installed now, and leaves.
 *
 *            ask              freeze             commit
 *     idle ------> asked ---------------> frozen ------> leaving
 *      ^             |                      |
 *      |   refuse    |    thaw, refuse      |
 *      '-------------+----------------------'
 *
 * From `freeze` on links stay as they are, for what stands is handed over: no step of the mesh begins, and the broker is
 * asked for nothing that would change what it holds. Everything is served all the same, new clients too.
 */
import type { Broker } from './broker/client.js';
import type { Orders, SupervisorWords } from './broker/supervisor.js';
import type { Keeper } from './bus/keeper.js';
import { withDeadline } from './kernel/deadline.js';
import type { Logger } from './kernel/log.js';
import type { Mesh } from './mesh/mesh.js';
import type { Relay } from './relay/relay.js';
import type { UpgradeState } from './status/server.js';

/** How long steps of links that are under way may take to end, and then what the broker was asked, in milliseconds. */
const STEPS_MS = 1_500;
const ANSWERS_MS = 500;

export interface UpgradeParts {
  readonly supervisor: Pick<SupervisorWords, 'upgrade' | 'frozen'>;
  readonly mesh: Pick<Mesh, 'freeze' | 'thaw'>;
  readonly broker: Pick<Broker, 'freeze' | 'thaw' | 'leave'>;
  readonly relay: Pick<Relay, 'leave'>;
  /** Null: no bus is hosted. */
  readonly keeper: () => Pick<Keeper, 'pause' | 'resume'> | null;
  /** The graph may have changed meanwhile. */
  readonly onThaw: () => void;
  readonly log: Pick<Logger, 'info' | 'error'>;
}

export class Upgrade implements Orders {
  /** Resolves when the new version serves. */
  readonly committed: Promise<void>;
  /** Why there can be none now; null: there can. A sentence. */
  obstacle: string | null = null;
  readonly #parts: UpgradeParts;
  #state: 'idle' | 'asked' | 'frozen' | 'leaving' = 'idle';
  /** Why the last one came to nothing. */
  #error: string | null = null;
  #commit!: () => void;

  constructor(parts: UpgradeParts) {
    this.#parts = parts;
    this.committed = new Promise((resolve) => {
      this.#commit = resolve;
    });
  }

  get state(): UpgradeState {
    if (this.#state !== 'idle') return 'under way';
    return this.#error === null ? null : { error: this.#error };
  }

  /** Null: the supervisor was asked, what comes of it is in `state`. Otherwise why it was not, a sentence. */
  ask(): string | null {
    if (this.#state !== 'idle') return 'An upgrade is under way: wait until it is over.';
    if (this.obstacle !== null) return this.obstacle;
    this.#state = 'asked';
    this.#error = null;
    this.#parts.supervisor.upgrade();
    return null;
  }

  freeze(): void {
    if (this.#state === 'leaving') return;
    this.#state = 'frozen';
    this.#parts.log.info('an upgrade: links stay as they are until it is over');
    void this.#freeze();
  }

  async #freeze(): Promise<void> {
    const { mesh, broker, keeper, supervisor } = this.#parts;
    await withDeadline(mesh.freeze(), STEPS_MS, undefined);
    if (this.#state !== 'frozen') return;
    await withDeadline(broker.freeze(), ANSWERS_MS, undefined);
    if (this.#state !== 'frozen') return;
    keeper()?.pause();
    supervisor.frozen();
  }

  commit(): void {
    if (this.#state === 'leaving') return;
    this.#state = 'leaving';
    this.#parts.broker.leave();
    this.#parts.relay.leave();
    this.#parts.log.info('the new version serves: leaving');
    this.#commit();
  }

  thaw(): void {
    if (this.#state !== 'frozen') return;
    const { mesh, broker, keeper, onThaw } = this.#parts;
    this.#state = this.#error === null ? 'asked' : 'idle'; // why, is said next
    broker.thaw();
    keeper()?.resume();
    mesh.thaw();
    onThaw();
  }

  refuse(reason: string): void {
    if (this.#state === 'leaving') return;
    this.#error = reason.endsWith('.') ? reason : `${reason}.`;
    this.#parts.log.error(`the upgrade came to nothing: ${reason}`);
    if (this.#state === 'asked') this.#state = 'idle'; // else thaw follows
  }
}
