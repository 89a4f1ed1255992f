/** All connections of one listener, or of one link: how many there may be, and their common end. */
import { DrainBarrier } from '../kernel/drain.js';
import type { ByteStream } from '../relay/byte-stream.js';
import { AnswerWriter } from './answer-writer.js';
import { Lingering } from './lingering.js';
import type { Refusal } from './refusal.js';
import type { Site } from './route.js';
import { ServerConnection } from './server-connection.js';

const FULL: Refusal = {
  status: 503,
  message: 'There are as many connections as there may be.',
  retryAfter: 1,
};

export class Server<Description> {
  readonly #site: Site<Description>;
  /** The eldest first. */
  readonly #connections = new Set<ServerConnection<Description>>();
  #leaving = false;
  readonly #barrier = new DrainBarrier(() => this.#connections.size === 0);

  constructor(site: Site<Description>) {
    this.#site = site;
  }

  get size(): number {
    return this.#connections.size;
  }

  /** Takes the stream. Where there are too many, an idle one has to go, or this one is refused. */
  accept(stream: ByteStream, description: Description): void {
    if (this.#connections.size >= this.#site.limits.connections && !this.dismissIdle()) {
      const writer = new AnswerWriter(stream);
      writer.keepAlive = false;
      writer.page(FULL, '', true);
      new Lingering(stream, this.#site.limits.idleMs);
      return;
    }
    const connection = new ServerConnection(stream, this.#site, description, (closed) => {
      this.#connections.delete(closed);
      this.#barrier.check();
    });
    this.#connections.add(connection);
    if (this.#leaving) connection.leave();
  }

  /** Answers what was asked and nothing more; resolves when no connection is left. */
  leave(): Promise<void> {
    this.#leaving = true;
    for (const connection of [...this.#connections]) connection.leave();
    return this.#barrier.drained();
  }

  close(): void {
    for (const connection of [...this.#connections]) connection.close();
  }

  /** Ends a connection on which nothing is asked. False: there is none. */
  dismissIdle(): boolean {
    for (const connection of this.#connections) {
      if (!connection.idle) continue;
      connection.leave();
      return true;
    }
    return false;
  }
}
