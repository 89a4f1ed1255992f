/**
 * The connections of one link: each authenticated first, then handed on.
 *
 * How many are in the middle of that at a time is bounded, and so is its time: a bus has few places for clients
 * that have not said Hello, and one consumer must not take those of the others.
 */
import type { Channel, LinkHost } from '../plugin.js';
import { Authentication, type Outcome } from './authentication.js';
import { Places } from './places.js';

export interface ConnectionsOptions {
  /** For all of the authentication, in milliseconds. */
  readonly patienceMs?: number;
  readonly places?: number;
}

const PATIENCE_MS = 30_000;
const PLACES = 32;

export class Connections {
  readonly #host: LinkHost;
  readonly #patienceMs: number;
  readonly #places: Places;

  constructor(host: LinkHost, options: ConnectionsOptions = {}) {
    this.#host = host;
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.#places = new Places(options.places ?? PLACES);
  }

  /** Takes the channel. */
  async accept(client: Channel): Promise<void> {
    const outcome = await this.#authenticate(client);
    if ('failed' in outcome) this.#host.log.debug({ reason: outcome.failed }, 'not authenticated');
    else this.#host.join(client, outcome.bus, { type: 'stream', fds: outcome.fds });
  }

  async #authenticate(client: Channel): Promise<Outcome> {
    await this.#places.take();
    const authentication = new Authentication(client, () => this.#host.connectAs());
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
}
