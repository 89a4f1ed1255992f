/**
 * The connections of one link: each authenticated first, then joined at relay speed, or, where somebody has to look
 * at its messages, moved one by one.
 *
 * How many are in the middle of the first at a time is bounded, and so is its time: a bus has few places for clients
 * that have not said Hello, and one consumer must not take those of the others.
 */
import type { Channel, LinkHost } from '../plugin.js';
import { Authentication, type Outcome } from './authentication.js';
import type { FilterFactory } from './filter.js';
import { MessageSession } from './message-session.js';
import { Places } from './places.js';

export interface ConnectionsOptions {
  /** Who looks at the messages of a connection that begins now; nobody: it is joined. */
  readonly filters: () => readonly FilterFactory[];
  /** For all of the authentication, in milliseconds. */
  readonly patienceMs?: number;
  readonly places?: number;
}

const PATIENCE_MS = 30_000;
const PLACES = 32;

export class Connections {
  readonly #host: LinkHost;
  readonly #filters: ConnectionsOptions['filters'];
  readonly #patienceMs: number;
  readonly #places: Places;
  readonly #budget = { fds: 0 };

  constructor(host: LinkHost, options: ConnectionsOptions) {
    this.#host = host;
    this.#filters = options.filters;
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.#places = new Places(options.places ?? PLACES);
  }

  /** Takes the channel. */
  async accept(consumer: Channel): Promise<void> {
    const outcome = await this.#authenticate(consumer);
    if ('failed' in outcome) {
      this.#host.log.debug({ reason: outcome.failed }, 'not authenticated');
      this.#count('refused');
      return;
    }
    const { bus, fds } = outcome;
    const filters = this.#filters();
    if (filters.length === 0) this.#host.join(consumer, bus, { fds });
    else this.#look(consumer, bus, fds, filters);
  }

  #look(consumer: Channel, bus: Channel, fds: boolean, filters: readonly FilterFactory[]): void {
    const { tally, log } = this.#host;
    const onEnd = (reason: string, fault?: string, thrown?: unknown) => {
      this.#count(reason);
      if (thrown !== undefined) log.error({ err: thrown }, 'a bug ended one connection');
      else if (fault !== undefined) log.debug({ reason: fault }, 'ended a connection');
    };
    new MessageSession({ consumer, bus, fds, filters, tally, budget: this.#budget, onEnd });
  }

  async #authenticate(consumer: Channel): Promise<Outcome> {
    await this.#places.take();
    const authentication = new Authentication(consumer, () => this.#host.connectAs());
    const timer = setTimeout(() => {
      authentication.abort(`It took longer than ${this.#patienceMs / 1000} s.`);
    }, this.#patienceMs);
    try {
      return await authentication.run();
    } finally {
      clearTimeout(timer);
      this.#places.free();
    }
  }

  #count(reason: string): void {
    const { closes } = this.#host.tally;
    closes[reason] = (closes[reason] ?? 0) + 1;
  }
}
