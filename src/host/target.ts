/**
 * The consumer's end of one link: the listener at its target, a unix socket inside the container or an address in
 * its network namespace (for EXTERNAL, the host's), and how the target is freed again.
 *
 * It is looked after. What the consumer no longer sees (removed, covered by a mount or by somebody else's socket, in
 * another root or network than the one it has now) is made anew: a new listener takes the place of the old one, and
 * connections stay.
 *
 *   standing --lost--> waiting its turn --made--> standing
 *      ^                   ^      |
 *      |                   +-can't+        `remove` ends it from anywhere
 *      '-- made, or left standing by an earlier daemon
 */
import { setTimeout } from 'node:timers/promises';
import type { Broker } from '../broker/client.js';
import { endpointOf } from '../graph/endpoint.js';
import { EXTERNAL, type Link } from '../graph/link.js';
import type { LinkError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import { failed, ok, type Result, valueOrThrow } from '../kernel/result.js';
import type { SocketType } from '../plugins/plugin.js';
import { closeSocket } from '../relay/closing.js';
import type { RelayLink } from '../relay/relay-link.js';
import type { Adopted, Claim, Stood } from './adoption.js';
import type { Container } from './containers.js';
import { bindError, listenError, lostError } from './errno.js';
import { type PlantWatch, Replanting, removePlant } from './plants.js';

export interface TargetParts {
  readonly broker: Broker;
  readonly plantWatch: PlantWatch;
  readonly consumer: Container;
  readonly link: Link;
  readonly type: SocketType;
  readonly log: Logger;
}

/** One listener, as it was made. */
interface Made {
  /** Null: the relay has it already. */
  readonly fd: number | null;
  readonly stood: Stood;
  /** Takes it out of the container; the descriptor is another matter. Never rejects. */
  remove(): Promise<void>;
  /** Calls back when it is lost; the returned function ends that. */
  watch(onLost: () => void): () => void;
}

/** Has the relay link take a listener. `stood`: for the note that is kept with it. */
type Listen = (fd: number, stood: Stood) => void;

export class Target {
  readonly #parts: TargetParts;
  readonly #replanting = new Replanting(performance.now());
  readonly #watchers = new Set<(error: LinkError | null) => void>();
  readonly #ended = new AbortController();
  #made: Made;
  #unwatch: () => void;
  #error: LinkError | null = null;
  #taker: { readonly link: RelayLink; readonly listen: Listen } | null = null;
  /** A listener that is being made: it is removed, too. */
  #making: Promise<void> = Promise.resolve();
  #removed: Promise<void> | null = null;

  /** Rejects with an XConnectError. */
  static async open(parts: TargetParts): Promise<Target> {
    return new Target(parts, valueOrThrow(await make(parts)));
  }

  /**
   * The target of a relay link that may have been adopted, and then listens already; else one is made. Rejects with an
   * XConnectError.
   */
  static async of(parts: TargetParts, adopted: Adopted | null, claim: Claim): Promise<Target> {
    const stood = adopted?.stood;
    if (!adopted || !stood) return Target.open(parts);
    if ('network' in stood || (await claim.keeps(stood.plant))) {
      return new Target(parts, madeOf(parts, null, stood));
    }
    await adopted.relayLink.stop();
    return Target.open(parts);
  }

  private constructor(parts: TargetParts, made: Made) {
    this.#parts = parts;
    this.#made = made;
    this.#unwatch = made.watch(() => this.#lost());
  }

  /** `listen` is called for this listener, and for each that comes in its place. Call it once. */
  serve(link: RelayLink, listen: Listen): void {
    this.#taker = { link, listen };
    const { fd, stood } = this.#made;
    if (fd !== null) listen(fd, stood);
  }

  /** Says why there is no target now, beginning with what is; the returned function ends that. */
  watch(onChange: (error: LinkError | null) => void): () => void {
    this.#watchers.add(onChange);
    onChange(this.#error);
    return () => this.#watchers.delete(onChange);
  }

  /**
   * Frees the target: the socket is taken out of the container, or the address given up by the relay link that
   * took the listener. Never rejects; called again it does nothing more.
   */
  remove(): Promise<void> {
    this.#removed ??= this.#remove();
    return this.#removed;
  }

  async #remove(): Promise<void> {
    this.#ended.abort();
    this.#unwatch();
    this.#watchers.clear();
    await this.#making;
    await Promise.all([this.#made.remove(), this.#isAddress && this.#taker?.link.stop()]);
  }

  get #isAddress(): boolean {
    return 'address' in endpointOf(this.#parts.link.target);
  }

  #lost(): void {
    this.#say(lostError(this.#parts.link));
    void this.#restore();
  }

  async #restore(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted && this.#parts.consumer.alive) {
      const ms = this.#replanting.wait(performance.now());
      if (ms > 0) await setTimeout(ms, null, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      this.#making = this.#remake();
      await this.#making;
      if (this.#error === null) return;
    }
  }

  async #remake(): Promise<void> {
    if (this.#isAddress) await this.#taker?.link.stop(); // it has to be free
    let made = await make(this.#parts);
    if (!made.ok && made.error.code === 'target-occupied' && !this.#isAddress) {
      await this.#taker?.link.stop(); // by ourselves, it may be: what covered the old one is gone again
      made = await make(this.#parts);
    }
    if (!made.ok) {
      this.#say(made.error);
      return;
    }
    const { fd, stood } = made.value;
    const old = this.#made;
    this.#made = made.value;
    await old.remove(); // of what is elsewhere by now, only the broker's note
    if (!this.#taker && old.fd !== null) closeSocket(old.fd);
    if (this.#ended.signal.aborted) {
      closeSocket(fd);
      return;
    }
    void this.#taker?.link.stop();
    this.#taker?.listen(fd, stood);
    this.#replanting.planted(performance.now());
    this.#parts.log.info(`${this.#parts.link.target} was lost to its consumer, and is there again`);
    this.#say(null);
    this.#unwatch = this.#made.watch(() => this.#lost());
  }

  #say(error: LinkError | null): void {
    this.#error = error;
    for (const onChange of this.#watchers) onChange(error);
  }
}

async function make(parts: TargetParts): Promise<Result<Made & { readonly fd: number }>> {
  const { broker, consumer, link, type } = parts;
  const target = endpointOf(link.target);
  if ('address' in target) {
    const bound = await broker.listenTcp(consumer.handle, target.address);
    if (!bound.ok) return failed(bindError(link, bound.errno));
    const { fd, network } = bound.value;
    return ok({ ...madeOf(parts, fd, { network }), fd });
  }
  const planted = await broker.listenUnix(consumer.handle, type, target.path);
  if (!planted.ok) return failed(listenError(link, planted.errno));
  const { fd, plant } = planted.value;
  return ok({ ...madeOf(parts, fd, { plant }), fd });
}

function madeOf(parts: TargetParts, fd: number | null, stood: Stood): Made {
  const { broker, plantWatch, consumer, link, log } = parts;
  if ('network' in stood) {
    return {
      ...{ fd, stood },
      remove: () => Promise.resolve(),
      watch: (onLost) =>
        link.consumer === EXTERNAL ? () => {} : plantWatch.network(consumer, stood.network, onLost),
    };
  }
  let removed: Promise<void> | null = null;
  return {
    ...{ fd, stood },
    remove: () => {
      removed ??= removePlant(broker, stood.plant, link.target, log);
      return removed;
    },
    watch: (onLost) => plantWatch.plant(consumer, stood.plant, onLost),
  };
}
