/**
 * What is planted in containers: watched there, planted again when it is lost, taken out again at the end.
 */
import type { Broker } from '../broker/client.js';
import { RestartBackOff } from '../kernel/back-off.js';
import type { Logger } from '../kernel/log.js';
import { pollUntil } from '../kernel/poll.js';
import type { Container } from './containers.js';

/** Between two looks at a container, in milliseconds. What is lost is planted again within a second. */
const LOOK_MS = 500;
/** Between two attempts to remove what is in a busy container. */
const REMOVE_AGAIN_MS = 50;
/** Before what is lost again and again is planted, at most. */
const REPLANT_MOST_MS = 5_000;
/** What stood for so long was not lost to a loop. */
const STEADY_MS = 60_000;

interface Watched {
  readonly plants: Map<number, () => void>;
  readonly networks: Map<object, { readonly network: bigint; readonly onLost: () => void }>;
  asking: boolean;
}

/**
 * Looks after what stands in containers: one question to the broker for each container that has something, half a
 * second apart, about all of it together. Whoever planted a thing is told once when the container sees something else at
 * its path, or nothing; whoever listens in a network is told when the container is in another one.
 *
 * A look and not a subscription: inotify knows nothing of a mount over the folder, of another root, or of a folder above
 * that was renamed, and its watches are few and shared by all processes of a user. A container whose file systems hang
 * has one question under way, and holds up no other.
 */
export class PlantWatch {
  readonly #broker: Pick<Broker, 'check'>;
  readonly #containers = new Map<Container, Watched>();
  #timer: NodeJS.Timeout | null = null;

  constructor(broker: Pick<Broker, 'check'>) {
    this.#broker = broker;
  }

  /** `onLost` is called at most once, and not after the returned function. */
  plant(container: Container, plant: number, onLost: () => void): () => void {
    const watched = this.#of(container);
    watched.plants.set(plant, onLost);
    return () => {
      watched.plants.delete(plant);
      this.#forget(container, watched);
    };
  }

  /** The same for a listener in that network namespace of the container. */
  network(container: Container, network: bigint, onLost: () => void): () => void {
    const watched = this.#of(container);
    const key = {};
    watched.networks.set(key, { network, onLost });
    return () => {
      watched.networks.delete(key);
      this.#forget(container, watched);
    };
  }

  #of(container: Container): Watched {
    const known = this.#containers.get(container);
    if (known) return known;
    const watched = { plants: new Map(), networks: new Map(), asking: false };
    this.#containers.set(container, watched);
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
    return watched;
  }

  /** Once nothing of it is watched; whoever unsubscribes late, or twice, is not about what was planted since. */
  #forget(container: Container, watched: Watched): void {
    if (watched.plants.size > 0 || watched.networks.size > 0) return;
    if (this.#containers.get(container) !== watched) return;
    this.#containers.delete(container);
    if (this.#containers.size > 0 || !this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    for (const [container, watched] of this.#containers) {
      if (container.alive && !watched.asking) void this.#ask(container, watched);
    }
  }

  async #ask(container: Container, watched: Watched): Promise<void> {
    watched.asking = true;
    const checked = await this.#broker.check(container.handle);
    watched.asking = false;
    if (!checked.ok || !container.alive) return; // busy, or gone: its end is told elsewhere
    const { lost, network } = checked.value;
    const told: (() => void)[] = [];
    for (const plant of lost) {
      const onLost = watched.plants.get(plant);
      if (onLost && watched.plants.delete(plant)) told.push(onLost);
    }
    for (const [key, listener] of watched.networks) {
      if (listener.network === network) continue;
      watched.networks.delete(key);
      told.push(listener.onLost);
    }
    this.#forget(container, watched);
    for (const onLost of told) onLost();
  }
}

/**
 * When what was lost is planted again: at once, but for whom it is lost again soon after (a container that deletes its
 * targets in a loop) or can't be had (somebody else is there), later and later.
 */
export class Replanting {
  readonly #backOff = new RestartBackOff(REPLANT_MOST_MS, STEADY_MS);
  /** Null: it is lost. */
  #plantedAt: number | null;

  /** Times are milliseconds of one clock. */
  constructor(now: number) {
    this.#plantedAt = now;
  }

  /** It stands again. */
  planted(now: number): void {
    this.#plantedAt = now;
  }

  /** It is lost, still or again: how long to wait before the next attempt, in milliseconds. */
  wait(now: number): number {
    const stoodMs = this.#plantedAt === null ? 0 : now - this.#plantedAt;
    this.#plantedAt = null;
    return this.#backOff.next(stoodMs);
  }
}

/**
 * Takes a plant out of its container. `what` is what it is called where it can't be removed.
 * A container that is busy is asked again for as long as it lives: what is planted in it must not stay. Never rejects.
 */
export async function removePlant(
  broker: Pick<Broker, 'remove'>,
  plant: number,
  what: string,
  log: Logger,
): Promise<void> {
  const result = await pollUntil(
    (removed) => removed.ok || removed.errno !== 'EBUSY',
    () => broker.remove(plant),
    { everyMs: REMOVE_AGAIN_MS },
  );
  if (result.ok || result.errno === 'ESRCH' || result.errno === 'EBADF') return; // gone with its container, or swept away
  log.warn({ errno: result.errno }, `${what} could not be removed`);
}
