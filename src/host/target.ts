/**
 * The consumer's end of one link: the listener at its target, a unix socket inside the container or an address in
 * its network namespace (for EXTERNAL, the host's), and how the target is freed again.
 *
 * It is looked after. What the consumer no longer sees (removed, covered by a mount or by somebody else's socket, in
 * another root or network than the one it has now) is made anew: a new listener takes the place of the old one, and
 * connections stay.
 *
 *   standing --lost--> waiting its turn --made--> standing
 *                          ^      |
 *                          +-can't+        `remove` ends it from anywhere
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
  readonly fd: number;
  /** Takes it out of the container; the descriptor is another matter. Never rejects. */
  remove(): Promise<void>;
  /** Calls back when it is lost; the returned function ends that. */
  watch(onLost: () => void): () => void;
}

export class Target {
  readonly #parts: TargetParts;
  readonly #replanting = new Replanting(performance.now());
  readonly #watchers = new Set<(error: LinkError | null) => void>();
  readonly #ended = new AbortController();
  #made: Made;
  #unwatch: () => void;
  #error: LinkError | null = null;
  #taker: { readonly link: RelayLink; readonly listen: (fd: number) => void } | null = null;
  /** A listener that is being made: it is removed, too. */
  #making: Promise<void> = Promise.resolve();
  #removed: Promise<void> | null = null;

  /** Rejects with an XConnectError. */
  static async open(parts: TargetParts): Promise<Target> {
    return new Target(parts, valueOrThrow(await make(parts)));
  }

  private constructor(parts: TargetParts, made: Made) {
    this.#parts = parts;
    this.#made = made;
    this.#unwatch = made.watch(() => this.#lost());
  }

  /** `listen` has the relay link take a listener: this one, and each that comes in its place. Call it once. */
  serve(link: RelayLink, listen: (fd: number) => void): void {
    this.#taker = { link, listen };
    listen(this.#made.fd);
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
    const { fd } = made.value;
    const old = this.#made;
    this.#made = made.value;
    await old.remove(); // of what is elsewhere by now, only the broker's note
    if (!this.#taker) closeSocket(old.fd);
    if (this.#ended.signal.aborted) {
      closeSocket(fd);
      return;
    }
    void this.#taker?.link.stop();
    this.#taker?.listen(fd);
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

async function make(parts: TargetParts): Promise<Result<Made>> {
  const { broker, plantWatch, consumer, link, type, log } = parts;
  const target = endpointOf(link.target);
  if ('address' in target) {
    const bound = await broker.listenTcp(consumer.handle, target.address);
    if (!bound.ok) return failed(bindError(link, bound.errno));
    const { fd, network } = bound.value;
    return ok({
      fd,
      remove: () => Promise.resolve(),
      watch: (onLost) =>
        link.consumer === EXTERNAL ? () => {} : plantWatch.network(consumer, network, onLost),
    });
  }
  const planted = await broker.listenUnix(consumer.handle, type, target.path);
  if (!planted.ok) return failed(listenError(link, planted.errno));
  const { fd, plant } = planted.value;
  let removed: Promise<void> | null = null;
  return ok({
    fd,
    remove: () => {
      removed ??= removePlant(broker, plant, link.target, log);
      return removed;
    },
    watch: (onLost) => plantWatch.plant(consumer, plant, onLost),
  });
}
