/**
 * `GET /uses?consumer=&name=`: what a consumer does on its bus that needs a right, as server-sent events, for as long
 * as somebody listens. One event for each kind of use, however often it is repeated.
 *
 * `event: use` has the link's target and the use, `event: full` says that there are too many kinds, and is the last.
 */
import type { ServerResponse } from 'node:http';
import type { Use } from '../graph/use.js';
import { linksNamed } from './links-asked.js';
import { Listeners } from './listeners.js';
import type { StatusStore } from './store.js';

/** Reports the uses of one link until the returned function is called. */
export type Observe = (link: string, onUse: (use: Use) => void) => () => void;

const MAX_LISTENERS = 4;
/** The most kinds for one listener: a consumer can make up any number. */
const MAX_KINDS = 10_000;

export class Observers {
  readonly #store: StatusStore;
  readonly #observe: Observe;
  readonly listeners = new Listeners(MAX_LISTENERS);

  constructor(store: StatusStore, observe: Observe) {
    this.#store = store;
    this.#observe = observe;
  }

  /** Takes the response, whose head is not sent yet. False: there is no such link, and the response is not taken. */
  add(response: ServerResponse, asked: URLSearchParams): boolean {
    const links = linksNamed(this.#store, asked);
    if (links.length === 0) return false;
    const kinds = new Set<string>();
    const tell = (target: string, use: Use) => {
      const data = JSON.stringify({ target, use });
      if (kinds.size > MAX_KINDS || kinds.has(data)) return;
      kinds.add(data);
      const isFull = kinds.size > MAX_KINDS;
      response.write(isFull ? 'event: full\ndata: {}\n\n' : `event: use\ndata: ${data}\n\n`);
    };
    this.listeners.add(response, () =>
      links.map(({ id, link }) => this.#observe(id, (use) => tell(link.target, use))),
    );
    return true;
  }
}
