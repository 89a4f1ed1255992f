/**
 * Hosts the system bus: from each revision the uids of its roles, the bus's configuration, and what the graph has
 * to know of it.
 *
 * In this order, so that nobody is ever known by a uid that could become another's: the uids are on the disk, the
 * bus knows its users, and only then do the bus's rules and the graph have them. What could not be written is tried
 * again, ever more slowly; its roles have no uid until then. Nothing is written that is as it was. The bus begins
 * with the first revision that wants it; for one that does not, it allows nothing.
 */

import { busDeclarations, wantsHostedBus } from '../graph/hosted-bus.js';
import type { HostedBus } from '../graph/link-maker.js';
import { BackOff } from '../kernel/back-off.js';
import { withDeadline } from '../kernel/deadline.js';
import type { ErrorCode, LinkError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import { Retry } from '../kernel/retry.js';
import { SerialQueue } from '../kernel/serial-queue.js';
import type { Revision } from '../manifest/revision.js';
import { busConfiguration, userLines } from './configuration.js';
import type { Keeper, KeptUids } from './keeper.js';
import { UidBook, type UidRange } from './uid-book.js';

/** What is needed of a Keeper. */
export type Keeping = Pick<Keeper, 'kept' | 'keepUids' | 'addUsers' | 'configure'>;

export interface BusHostOptions {
  /** Where the bus listens, on the host. */
  readonly socket: string;
  readonly uids: UidRange;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
}

type OnLate = (hosted: HostedBus | undefined) => void;

/** No link of any kind waits longer for this one, in milliseconds. */
const LATE_MS = 1_000;
/** Before what failed is tried again, in milliseconds, doubling. */
const AGAIN_FIRST_MS = 1_000;
const AGAIN_MOST_MS = 60_000;
/** The program has ended meanwhile: that is said elsewhere, and the next one gets what this one did not. */
const GONE = 'EPIPE';

export class BusHost {
  readonly #options: BusHostOptions;
  readonly #log: BusHostOptions['log'];
  #keeper: Keeping | null = null;
  #book: UidBook | null = null;
  #error: LinkError | null = null;
  #revision: Revision | null = null;
  #onLate: OnLate = () => undefined;
  /** Role uids that are on the disk; and whether there is more in the book. */
  #kept: ReadonlyMap<string, number> = new Map();
  #isUnkept = false;
  /** What others may know: those of them whose users the bus knows. */
  #known: ReadonlyMap<string, number> | null = null;
  /** What the program has of ours: users by uid, the configuration. */
  readonly #users = new Set<number>();
  #configuration = '';
  readonly #retry = new Retry(new BackOff(AGAIN_MOST_MS, AGAIN_FIRST_MS));
  /** What is waited now. */
  #againMs = 0;
  readonly #queue = new SerialQueue();

  constructor(options: BusHostOptions) {
    this.#options = options;
    this.#log = options.log;
  }

  /** A program that was started just now; it gets what an earlier one had. `error`: there can't be one, and why. */
  attach(keeper: Keeping | string): Promise<void> {
    return this.#queue.run(async () => {
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
   * nobody: where the disk is slow or full, or the program slow, it is what was known before, and `onLate` gets what
   * is then true.
   */
  async host(revision: Revision, onLate: OnLate = () => undefined): Promise<HostedBus | undefined> {
    const hosting = this.#host(revision, onLate);
    const hosted = await withDeadline(hosting, LATE_MS, 'late' as const);
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

  #host(revision: Revision, onLate: OnLate): Promise<HostedBus | undefined> {
    return this.#queue.run(async () => {
      const wanted = wantsHostedBus(revision);
      const { socket } = this.#options;
      if (!wanted && this.#configuration === '') return undefined;
      if (this.#error) {
        this.#log.warn({ code: this.#error.code }, this.#error.message);
        return wanted ? { socket, error: this.#error } : undefined;
      }
      this.#revision = revision;
      this.#onLate = onLate;
      await this.#apply(revision);
      return wanted ? this.#standIn() : undefined;
    });
  }

  /** What is on the disk is kept, however damaged the rest of it: it would be read from there once more. */
  async #readBook(kept: KeptUids, keeper: Keeping): Promise<void> {
    const book = new UidBook(this.#options.uids, kept);
    for (const fault of book.faults) this.#log.warn({ code: 'bus-uid' }, fault);
    this.#book = book;
    this.#kept = new Map(book.uids);
    this.#isUnkept = book.faults.length > 0 || kept[0] !== kept[1];
    await this.#keepBook(book, keeper);
  }

  async #keepBook(book: UidBook, keeper: Keeping): Promise<void> {
    if (!this.#isUnkept) return;
    const errno = await keeper.keepUids(book.toString());
    if (errno !== null) {
      this.#tryAgain(errno, 'bus-uid', "The uids of roles can't be kept");
      return;
    }
    this.#kept = new Map(book.uids);
    this.#isUnkept = false;
  }

  async #apply(revision: Revision): Promise<void> {
    const keeper = this.#keeper;
    const book = this.#book;
    if (!keeper || !book) return;
    this.#retry.cancel();
    const declarations = busDeclarations(revision);
    if (book.assign(declarations.roles).length > 0) this.#isUnkept = true;
    await this.#keepBook(book, keeper);
    const uids = this.#kept;
    const users = [...uids.values()].filter((uid) => !this.#users.has(uid));
    let errno = users.length > 0 ? await keeper.addUsers(userLines(users)) : null;
    if (errno === null) {
      for (const uid of users) this.#users.add(uid);
      this.#known = uids;
      const text = busConfiguration(declarations, uids);
      if (text !== this.#configuration) errno = await keeper.configure(text);
      if (errno === null) this.#configuration = text;
    }
    if (errno !== null) this.#tryAgain(errno, 'bus-away', "The bus can't be configured");
    if (!this.#retry.isPending) this.#retry.reset();
  }

  #tryAgain(errno: string, code: ErrorCode, what: string): void {
    if (errno === GONE) return;
    if (!this.#retry.isPending) {
      this.#againMs = this.#retry.schedule(() => void this.#queue.run(() => this.#applyAgain()));
    }
    this.#log.error(
      { code },
      `${what} (${errno}): it is tried again in ${this.#againMs / 1000} s.`,
    );
  }

  async #applyAgain(): Promise<void> {
    const revision = this.#revision;
    if (!revision) return;
    const before = this.#known;
    await this.#apply(revision);
    if (this.#known !== before && wantsHostedBus(revision)) this.#onLate(this.#standIn());
  }

  #fail(why: string): void {
    const message = `The hosted system bus can't run here: ${why}.`;
    this.#error = { code: 'bus-off', message };
  }
}
