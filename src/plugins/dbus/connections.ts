/**
 * The connections of one link. Each is authenticated first, and then joined by the relay, or read message by message
 * where a filter has to see its messages.
 *
 *     authenticating ──BEGIN──▸ registering ──the bus answers Hello──▸ joined: the relay has it (without a filter)
 *                                                                  └─▸ in session (with a filter)
 *
 * A connection that is not registered yet has a limited time, and a slot of its bus. A bus admits few connections that
 * are not registered (dbus-daemon's max_incomplete_connections: 64) and nobody else while it has that many. So the
 * slots of one bus are shared out evenly among the links that lead to it: no link can take what another one needs. A
 * slot is held from the connection to the bus until the bus has answered Hello. A link that has none left waits, its
 * connections in the order in which they came.
 */
import { failed, type Result } from '../../kernel/result.js';
import { type Channel, type Connection, countClose, type LinkHost } from '../plugin.js';
import { Authentication } from './authentication.js';
import type { FilterFactory } from './filter.js';
import { MessageSession } from './message-session.js';
import { Registration } from './registration.js';
import { WorkBudget } from './work-budget.js';

export interface ConnectionsOptions {
  /** The filters of a connection that begins now. None: it is joined. */
  readonly filters: () => readonly FilterFactory[];
  readonly slots: LinkSlots;
  /** Called where the bus may let nobody in as the link's role. */
  readonly onDoubt?: () => void;
  /** Milliseconds from the connection to the answer to Hello, without the time that it waits for a slot. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 30_000;
/** Slots of one bus: some are left for the clients in its own container. */
const BUS_SLOTS = 48;
/** Slots of one link, even if it is the only one. */
const MAX_LINK_SLOTS = 32;

/** A connection that the bus has not registered yet. */
interface Handshake {
  /** Ends the connection, for that reason. */
  abort: (reason: string) => void;
  timer: NodeJS.Timeout | undefined;
  /** Gives its slot back. Idempotent. */
  release: () => void;
}

export class Connections {
  readonly #host: LinkHost;
  readonly #filters: ConnectionsOptions['filters'];
  readonly #patienceMs: number;
  readonly #slots: LinkSlots;
  readonly #onDoubt: () => void;
  readonly #budget = { fds: 0 };
  readonly #work = new WorkBudget();
  /** Faults of connections that were logged as warnings. */
  readonly #told = new Set<string>();

  constructor(host: LinkHost, options: ConnectionsOptions) {
    this.#host = host;
    this.#filters = options.filters;
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.#slots = options.slots;
    this.#onDoubt = options.onDoubt ?? (() => undefined);
  }

  /** Takes the channel. */
  async accept(consumer: Channel): Promise<void> {
    const handshake: Handshake = {
      abort: () => undefined,
      timer: undefined,
      release: () => undefined,
    };
    this.#startTimer(handshake);
    const authentication = new Authentication(
      consumer,
      () => this.#connect(consumer, handshake),
      this.#onDoubt,
    );
    handshake.abort = (reason) => authentication.abort(reason);
    const outcome = await authentication.run();
    if (!outcome.ok) {
      this.#end(handshake);
      this.#refused(outcome.reason);
      return;
    }
    const { bus, fds } = outcome.value;
    const filters = this.#filters();
    if (filters.length === 0) await this.#join(consumer, bus, fds, handshake);
    else this.#inspect(consumer, bus, fds, filters, handshake);
  }

  async #join(consumer: Channel, bus: Channel, fds: boolean, handshake: Handshake): Promise<void> {
    const registration = new Registration(consumer, bus);
    handshake.abort = (reason) => registration.abort(reason);
    const failed = await registration.run();
    this.#end(handshake);
    if (failed === null) {
      const name = registration.uniqueName;
      this.#host.join(consumer, bus, {
        fds,
        about: name === undefined ? {} : { unique_name: name },
      });
      return;
    }
    this.#onDoubt();
    await consumer.flushed();
    consumer.close();
    bus.close();
    this.#refused(failed);
  }

  #inspect(
    consumer: Channel,
    bus: Channel,
    fds: boolean,
    filters: readonly FilterFactory[],
    handshake: Handshake,
  ): void {
    const { tally } = this.#host;
    let isRegistered = false;
    const session = new MessageSession({
      ...{ consumer, bus, fds, filters, tally, budget: this.#budget, work: this.#work },
      onRegistered: () => {
        isRegistered = true;
        this.#end(handshake);
      },
      onEnd: (reason, fault, thrown) => {
        this.#end(handshake);
        if (!isRegistered) this.#onDoubt();
        countClose(tally, reason);
        if (thrown !== undefined)
          this.#host.log.error({ err: thrown }, 'a bug ended one connection');
        else if (fault !== undefined) this.#tell(fault);
      },
    });
    this.#host.describe(consumer, () => session.described);
    handshake.abort = (reason) => session.abort(reason);
  }

  #startTimer(handshake: Handshake): void {
    handshake.timer = setTimeout(() => {
      const seconds = this.#patienceMs / 1000;
      handshake.abort(
        `The bus did not know the consumer after ${seconds} s: it has to authenticate and say Hello.`,
      );
    }, this.#patienceMs);
  }

  async #connect(consumer: Channel, handshake: Handshake): Promise<Result<Connection>> {
    clearTimeout(handshake.timer);
    handshake.release = await this.#slots.acquire();
    if (consumer.fd < 0) {
      return failed({ code: 'container-gone', message: 'The consumer left before its turn.' });
    }
    this.#startTimer(handshake);
    return this.#host.connectAs();
  }

  /** It is registered, or has ended. */
  #end(handshake: Handshake): void {
    clearTimeout(handshake.timer);
    handshake.release();
  }

  #refused(reason: string): void {
    this.#host.log.debug({ reason }, 'not let in');
    countClose(this.#host.tally, 'refused');
  }

  /** A fault is a warning once: a client that has it is likely to have it with every connection. */
  #tell(fault: string): void {
    const { log } = this.#host;
    if (this.#told.has(fault)) log.debug({ reason: fault }, 'ended a connection');
    else log.warn(`A connection was ended. ${fault}`);
    this.#told.add(fault);
  }
}

/** The buses that links lead to, each with its slots. One object for all links. */
export class Buses {
  readonly #slots = new Map<string, BusSlots>();

  /** The slots of one more link, to the bus behind `socket` of `provider`. Given back by `leave`. */
  enter(provider: string, socket: string): LinkSlots {
    const bus = `${provider} ${socket}`;
    const slots = this.#slots.get(bus) ?? new BusSlots(() => this.#slots.delete(bus));
    this.#slots.set(bus, slots);
    return slots.enter();
  }
}

/** The slots of one bus: a semaphore that is divided among links. */
export class BusSlots {
  readonly #total: number;
  readonly #onEmpty: () => void;
  readonly #links = new Set<LinkSlots>();
  #held = 0;

  /** `onEmpty`: called when the last link has left. */
  constructor(onEmpty: () => void = () => undefined, total = BUS_SLOTS) {
    this.#onEmpty = onEmpty;
    this.#total = total;
  }

  enter(): LinkSlots {
    const link: LinkSlots = new LinkSlots({
      hasFree: () => this.#held < this.#total && link.held < this.#linkShare,
      acquired: () => this.#held++,
      released: () => {
        this.#held--;
        this.#grant();
      },
      left: () => {
        if (this.#links.delete(link) && this.#links.size === 0) this.#onEmpty();
        this.#grant();
      },
    });
    this.#links.add(link);
    return link;
  }

  get #linkShare(): number {
    return Math.max(1, Math.min(MAX_LINK_SLOTS, Math.floor(this.#total / this.#links.size)));
  }

  #grant(): void {
    for (const link of this.#links) link.grant();
  }
}

/** What the slots of one link need of those of its bus. */
interface SharedSlots {
  hasFree(): boolean;
  acquired(): void;
  released(): void;
  left(): void;
}

export class LinkSlots {
  held = 0;
  readonly #shared: SharedSlots;
  readonly #waiting: (() => void)[] = [];
  #hasLeft = false;

  constructor(shared: SharedSlots) {
    this.#shared = shared;
  }

  /** Resolves with a slot; the function releases it, and is idempotent. */
  async acquire(): Promise<() => void> {
    const granted = new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.grant();
    await granted;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.held--;
      this.#shared.released();
    };
  }

  /** Gives those who wait the slots that are free. */
  grant(): void {
    while (this.#waiting.length > 0 && (this.#hasLeft || this.#shared.hasFree())) {
      this.held++;
      this.#shared.acquired();
      this.#waiting.shift()?.();
    }
  }

  /** The link has ended. Those who still wait wait no longer: their connections are closed by the link's end. */
  leave(): void {
    this.#hasLeft = true;
    this.#shared.left();
    this.grant();
  }
}
