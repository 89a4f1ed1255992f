/**
 * The connections to the provider of one link: made when needed, kept while idle, never shared between two links.
 *
 * A waiter gets the next connection that is free, whether it was made for it or not. While the provider is away, a few
 * attempts to connect serve all waiters; each attempt lasts as long as the link's patience, and the waiters that were
 * there when it began are then told that the provider can't be reached.
 */
import type { LinkError } from '../kernel/errors.js';
import type { Result } from '../kernel/result.js';
import type { ByteStream } from '../relay/byte-stream.js';
import { deadlines, type Timed } from './deadlines.js';
import type { Limits } from './limits.js';
import { type ConnectionOwner, ProviderConnection } from './provider-connection.js';

export interface Waiter {
  /** The connection is the waiter's, to send a request on. */
  connected(connection: ProviderConnection): void;
  unreachable(error: LinkError): void;
}

/** Attempts to connect at one time. */
const MAX_CONNECTING = 16;
const MAX_IDLE = 256;
/** Shorter than servers commonly keep an idle connection (Node.js: 5 s), so that few requests meet its end. */
const IDLE_MS = 4_000;
/** A connection is closed this long before the provider would, where it says how long it keeps one. */
const MARGIN_MS = 1_000;

export class ConnectionPool implements ConnectionOwner, Timed {
  readonly limits: Limits;
  deadline = Number.POSITIVE_INFINITY;
  readonly #connect: () => Promise<Result<ByteStream>>;
  /** The one that was used last comes last, and is used first. */
  #idle: ProviderConnection[] = [];
  readonly #open = new Set<ProviderConnection>();
  /** In the order in which they came. True: a connection that was never used before is needed. */
  readonly #waiting = new Map<Waiter, boolean>();
  #connecting = 0;
  /** Counts the changes of the provider: a connection to an earlier one is not kept. */
  #generation = 0;
  #closed: LinkError | null = null;

  /** `connect` waits for the provider as long as the link's patience, and never rejects. */
  constructor(connect: () => Promise<Result<ByteStream>>, limits: Limits) {
    this.#connect = connect;
    this.limits = limits;
    deadlines.add(this);
  }

  /**
   * An idle connection, or null. `careful`: for a request that can't be repeated, so whether the connection has ended
   * is looked at once more.
   */
  take(careful: boolean): ProviderConnection | null {
    const now = performance.now();
    for (;;) {
      const connection = this.#idle.pop();
      if (!connection) return null;
      if (connection.idleUntil <= now) connection.close();
      else if (careful) connection.stream.poke();
      if (connection.open) return connection;
    }
  }

  /** Waits for a connection that is made or becomes free. `fresh`: one that was never used before. */
  wait(waiter: Waiter, fresh: boolean): void {
    const error = this.#closed;
    if (error) {
      setImmediate(() => waiter.unreachable(error));
      return;
    }
    this.#waiting.set(waiter, fresh);
    this.#makeMore();
  }

  /** The waiter waits no more. */
  forget(waiter: Waiter): void {
    this.#waiting.delete(waiter);
  }

  kept(connection: ProviderConnection): void {
    const stale = connection.generation !== this.#generation;
    if (this.#closed || stale || this.#idle.length >= MAX_IDLE) {
      connection.close();
      return;
    }
    for (const [waiter, fresh] of this.#waiting) {
      if (fresh) continue;
      this.#hand(connection, waiter);
      return;
    }
    const seconds = connection.keptSeconds;
    const idleMs = seconds < 0 ? IDLE_MS : Math.min(seconds * 1000 - MARGIN_MS, 60_000);
    connection.idleUntil = performance.now() + idleMs;
    this.#idle.push(connection);
    if (this.deadline === Number.POSITIVE_INFINITY) deadlines.set(this, connection.idleUntil);
  }

  gone(connection: ProviderConnection): void {
    this.#open.delete(connection);
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    if (this.#waiting.size > 0) this.#makeMore();
  }

  /** The provider is another one: its predecessor gets no new requests. */
  changed(): void {
    this.#generation++;
    for (const connection of [...this.#idle]) connection.close();
  }

  /** Idle connections are closed now, the others when their answer is complete. Waiters are told the error. */
  close(error: LinkError): void {
    this.#closed = error;
    deadlines.remove(this);
    for (const connection of [...this.#idle]) connection.close();
    this.#refuse([...this.#waiting.keys()], error);
  }

  /** Closes the idle connections whose time is over. */
  expired(): void {
    const now = performance.now();
    for (const connection of [...this.#idle]) if (connection.idleUntil <= now) connection.close();
    const next = Math.min(...this.#idle.map(({ idleUntil }) => idleUntil));
    if (this.#idle.length > 0) deadlines.set(this, next);
  }

  #makeMore(): void {
    const wanted = Math.min(this.#waiting.size, MAX_CONNECTING);
    const most = this.limits.connections - this.#open.size;
    while (this.#connecting < Math.min(wanted, most)) void this.#make();
  }

  async #make(): Promise<void> {
    const before = [...this.#waiting.keys()];
    const generation = this.#generation;
    this.#connecting++;
    const made = await this.#connect();
    this.#connecting--;
    if (!made.ok) {
      this.#refuse(before, made.error);
    } else if (this.#closed) {
      made.value.close();
    } else {
      const connection = new ProviderConnection(made.value, this);
      connection.generation = generation;
      this.#open.add(connection);
      const [waiter] = this.#waiting.keys();
      if (waiter) this.#hand(connection, waiter);
      else this.kept(connection);
    }
    this.#makeMore();
  }

  #hand(connection: ProviderConnection, waiter: Waiter): void {
    this.#waiting.delete(waiter);
    waiter.connected(connection);
  }

  #refuse(waiters: readonly Waiter[], error: LinkError): void {
    for (const waiter of waiters) if (this.#waiting.delete(waiter)) waiter.unreachable(error);
  }
}
