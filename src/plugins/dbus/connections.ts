/**
 * The connections of one link: each authenticated first, then joined at relay speed, or, where somebody has to look
 * at its messages, moved one by one.
 *
 * Until the bus knows a client it holds one of the few places that a bus has for such (places.ts), and has only so much
 * time.
 */
import { type Channel, countClose, type LinkHost } from '../plugin.js';
import { Authentication } from './authentication.js';
import type { FilterFactory } from './filter.js';
import { MessageSession } from './message-session.js';
import type { LinkPlaces } from './places.js';
import { Registration } from './registration.js';
import { Share } from './share.js';

export interface ConnectionsOptions {
  /** Who looks at the messages of a connection that begins now; nobody: it is joined. */
  readonly filters: () => readonly FilterFactory[];
  readonly places: LinkPlaces;
  /** Called where the bus may have let in nobody. */
  readonly onDoubt?: () => void;
  /** From the connection to the answer to Hello, in milliseconds; time without a place does not count. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 30_000;

/** What a client has until the bus knows it. */
interface Entry {
  /** What to do when its time is over. */
  abort: (reason: string) => void;
  timer: NodeJS.Timeout | undefined;
  /** Gives its place back. */
  free: () => void;
}

export class Connections {
  readonly #host: LinkHost;
  readonly #filters: ConnectionsOptions['filters'];
  readonly #patienceMs: number;
  readonly #places: LinkPlaces;
  readonly #onDoubt: () => void;
  readonly #budget = { fds: 0 };
  readonly #share = new Share();
  /** What was wrong with connections, as far as it was said. */
  readonly #told = new Set<string>();

  constructor(host: LinkHost, options: ConnectionsOptions) {
    this.#host = host;
    this.#filters = options.filters;
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.#places = options.places;
    this.#onDoubt = options.onDoubt ?? (() => undefined);
  }

  /** Takes the channel. */
  async accept(consumer: Channel): Promise<void> {
    const entry: Entry = { abort: () => undefined, timer: undefined, free: () => undefined };
    this.#begin(entry);
    const authentication = new Authentication(consumer, () => this.#connect(entry), this.#onDoubt);
    entry.abort = (reason) => authentication.abort(reason);
    const outcome = await authentication.run();
    if ('failed' in outcome) {
      this.#end(entry);
      this.#refused(outcome.failed);
      return;
    }
    const { bus, fds } = outcome;
    const filters = this.#filters();
    if (filters.length === 0) await this.#join(consumer, bus, fds, entry);
    else this.#look(consumer, bus, fds, filters, entry);
  }

  async #join(consumer: Channel, bus: Channel, fds: boolean, entry: Entry): Promise<void> {
    const registration = new Registration(consumer, bus);
    entry.abort = (reason) => registration.abort(reason);
    const failed = await registration.run();
    this.#end(entry);
    if (failed === null) {
      this.#host.join(consumer, bus, { fds });
      return;
    }
    this.#onDoubt();
    await consumer.flushed();
    consumer.close();
    bus.close();
    this.#refused(failed);
  }

  #look(
    consumer: Channel,
    bus: Channel,
    fds: boolean,
    filters: readonly FilterFactory[],
    entry: Entry,
  ): void {
    const { tally } = this.#host;
    let isKnown = false;
    const session = new MessageSession({
      ...{ consumer, bus, fds, filters, tally, budget: this.#budget, share: this.#share },
      onRegistered: () => {
        isKnown = true;
        this.#end(entry);
      },
      onEnd: (reason, fault, thrown) => {
        this.#end(entry);
        if (!isKnown) this.#onDoubt();
        countClose(tally, reason);
        if (thrown !== undefined)
          this.#host.log.error({ err: thrown }, 'a bug ended one connection');
        else if (fault !== undefined) this.#tell(fault);
      },
    });
    entry.abort = (reason) => session.abort(reason);
  }

  #begin(entry: Entry): void {
    entry.timer = setTimeout(() => {
      const seconds = this.#patienceMs / 1000;
      entry.abort(
        `The bus did not know the consumer after ${seconds} s: it has to authenticate and say Hello.`,
      );
    }, this.#patienceMs);
  }

  async #connect(entry: Entry) {
    clearTimeout(entry.timer);
    entry.free = await this.#places.take();
    this.#begin(entry);
    return this.#host.connectAs();
  }

  /** Nothing more is to be waited for. */
  #end(entry: Entry): void {
    clearTimeout(entry.timer);
    entry.free();
  }

  #refused(reason: string): void {
    this.#host.log.debug({ reason }, 'not let in');
    countClose(this.#host.tally, 'refused');
  }

  /** Once: whoever does it will do it again. */
  #tell(fault: string): void {
    const { log } = this.#host;
    if (this.#told.has(fault)) log.debug({ reason: fault }, 'ended a connection');
    else log.warn(`A connection was ended. ${fault}`);
    this.#told.add(fault);
  }
}
