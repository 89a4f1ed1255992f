/**
 * Hosts the system bus: from each revision the uids of its roles, the bus's configuration, and what the graph has
 * to know of it.
 *
 * In this order, so that nobody is ever known by a uid that could become another's: the uids are on the disk, the
 * bus knows its users, it has its configuration, and only then does the graph have them. Nothing is written that is
 * as it was. The bus begins with the first revision that wants it; for one that does not, it allows nothing.
 */

import { busDeclarations, wantsHostedBus } from '../graph/hosted-bus.js';
import type { HostedBus } from '../graph/link-maker.js';
import type { LinkError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import type { Revision } from '../manifest/revision.js';
import { busConfiguration, userLines } from './configuration.js';
import type { Keeper } from './keeper.js';
import { UidBook, type UidRange } from './uid-book.js';

/** What is needed of a Keeper. */
export type Keeping = Pick<Keeper, 'kept' | 'keepUids' | 'addUsers' | 'configure'>;

export interface BusHostOptions {
  /** Where the bus listens, on the host. */
  readonly socket: string;
  readonly uids: UidRange;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
}

/** No link of any kind waits longer for this one, in milliseconds. */
const LATE_MS = 1_000;
/** The program has ended meanwhile: that is said elsewhere, and the next one gets what this one did not. */
const GONE = 'EPIPE';

export class BusHost {
  readonly #options: BusHostOptions;
  readonly #log: BusHostOptions['log'];
  #keeper: Keeping | null = null;
  #book: UidBook | null = null;
  #error: LinkError | null = null;
  #revision: Revision | null = null;
  /** What others may know: no uid before it is kept, and the bus knows its user. */
  #known: ReadonlyMap<string, number> | null = null;
  /** What the program has of ours: users by uid, the configuration. */
  readonly #users = new Set<number>();
  #configuration = '';
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: BusHostOptions) {
    this.#options = options;
    this.#log = options.log;
  }

  /** A program that was started just now; it gets what an earlier one had. `error`: there can't be one, and why. */
  attach(keeper: Keeping | string): Promise<void> {
    return this.#inTurn(async () => {
      this.#users.clear();
      this.#configuration = '';
      if (typeof keeper === 'string') {
        this.#fail(keeper);
        return;
      }
      const kept = await keeper.kept;
      if (typeof kept === 'string') {
        this.#fail(kept);
        return;
      }
      this.#keeper = keeper;
      this.#error = null;
      if (!this.#book) await this.#readBook(kept, keeper);
      if (this.#revision) await this.#apply(this.#revision);
    });
  }

  /**
   * What the graph of this revision needs to know; undefined: it has no use for the bus. Never rejects, and waits for
   * nobody: where the disk is slow, or the program, it is what was known before, and `onLate` gets what is then true.
   */
  async host(
    revision: Revision,
    onLate: (hosted: HostedBus | undefined) => void = () => undefined,
  ): Promise<HostedBus | undefined> {
    const hosting = this.#host(revision);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), LATE_MS);
    });
    const hosted = await Promise.race([hosting, late]);
    clearTimeout(timer);
    if (hosted !== 'late') return hosted;
    void hosting.then((late) => setImmediate(onLate, late)); // after who asked has our answer
    return wantsHostedBus(revision) ? this.#standIn() : undefined;
  }

  #standIn(): HostedBus {
    const { socket } = this.#options;
    if (this.#known) return { socket, uids: this.#known };
    const message = 'The hosted system bus is not ready yet.';
    return { socket, error: this.#error ?? { code: 'bus-away', message } };
  }

  #host(revision: Revision): Promise<HostedBus | undefined> {
    return this.#inTurn(async () => {
      const wanted = wantsHostedBus(revision);
      const { socket } = this.#options;
      if (!wanted && this.#configuration === '') return undefined;
      if (this.#error) {
        this.#log.warn({ code: this.#error.code }, this.#error.message);
        return wanted ? { socket, error: this.#error } : undefined;
      }
      this.#revision = revision;
      await this.#apply(revision);
      return wanted ? this.#standIn() : undefined;
    });
  }

  async #readBook(kept: readonly string[], keeper: Keeping): Promise<void> {
    const { uids } = this.#options;
    const book = new UidBook(uids, kept);
    for (const fault of book.faults) this.#log.warn({ code: 'bus-uid' }, fault);
    this.#book = book;
    if (book.faults.length > 0) await this.#keepBook(book, keeper);
  }

  async #keepBook(book: UidBook, keeper: Keeping): Promise<void> {
    const errno = await keeper.keepUids(book.toString());
    if (errno === null || errno === GONE) return;
    const message = `The uids of roles can't be kept (${errno}): after a restart they may be others.`;
    this.#log.error({ code: 'bus-uid' }, message);
  }

  async #apply(revision: Revision): Promise<void> {
    const keeper = this.#keeper;
    const book = this.#book;
    if (!keeper || !book) return;
    const declarations = busDeclarations(revision);
    if (book.assign(declarations.roles).length > 0) await this.#keepBook(book, keeper);
    const users = [...book.uids.values()].filter((uid) => !this.#users.has(uid));
    const text = busConfiguration(declarations, book.uids);
    let errno = users.length > 0 ? await keeper.addUsers(userLines(users)) : null;
    if (errno === null) {
      for (const uid of users) this.#users.add(uid);
      this.#known = new Map(book.uids);
      if (text === this.#configuration) return;
      errno = await keeper.configure(text);
    }
    if (errno === null) this.#configuration = text;
    else if (errno !== GONE)
      this.#log.error({ code: 'bus-away' }, `The bus could not be configured: ${errno}.`);
  }

  #fail(why: string): void {
    const message = `The hosted system bus can't run here: ${why}.`;
    this.#error = { code: 'bus-off', message };
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}
