/** All connections of one address or socket: how many there may be, and their common end. */
import { DrainBarrier, graceIn } from '../kernel/drain.js';
import type { ByteStream } from '../relay/byte-stream.js';
import { AnswerWriter } from './answer-writer.js';
import type { Refusal } from './refusal.js';
import type { Site } from './route.js';
import { ServerConnection } from './server-connection.js';

const FULL: Refusal = {
  status: 503,
  message: 'There are as many connections as there may be.',
  retryAfter: 1,
};

/** `Description`: what the plugin knows of a connection; the site gets it with each of its requests. */
export class Server<Description> {
  readonly #site: Site<Description>;
  /** The eldest first. */
  readonly #connections = new Set<ServerConnection<Description>>();
  /** Milliseconds, see `leave`; null: it does not leave. */
  #grace: number | null = null;
  readonly #barrier = new DrainBarrier(() => this.#connections.size === 0);

  constructor(site: Site<Description>) {
    this.#site = site;
  }

  /** Connections that are open. */
  get size(): number {
    return this.#connections.size;
  }

  /**
   * Takes the stream. Where the limit is reached, an idle connection is closed for it; where none is idle, it gets 503,
   * and null is returned.
   */
  accept(stream: ByteStream, description: Description): ServerConnection<Description> | null {
    const { limits, lingering } = this.#site;
    if (this.#connections.size >= limits.connections && !this.dismissIdle()) {
      const writer = new AnswerWriter(stream);
      writer.keepAlive = false;
      writer.page(FULL, true);
      lingering.add(stream, limits.idleMs);
      return null;
    }
    const connection = new ServerConnection(stream, this.#site, description, (closed) => {
      this.#connections.delete(closed);
      this.#site.left?.(description);
      this.#barrier.check();
    });
    this.#connections.add(connection);
    if (this.#grace !== null) connection.leave(this.#grace);
    return connection;
  }

  /**
   * Closes each connection once its requests are answered, new ones too. Resolves when none is left. `drainMs`: how long
   * that may take.
   */
  leave(drainMs: number): Promise<void> {
    this.#grace = graceIn(drainMs);
    for (const connection of [...this.#connections]) connection.leave(this.#grace);
    return this.#barrier.drained();
  }

  /** Closes all connections at once. */
  close(): void {
    for (const connection of [...this.#connections]) connection.close();
  }

  /** Closes one connection that is idle. False: there is none. */
  dismissIdle(): boolean {
    for (const connection of this.#connections) {
      if (!connection.idle) continue;
      connection.leave();
      return true;
    }
    return false;
  }
}
