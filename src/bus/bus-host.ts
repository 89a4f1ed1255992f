/**
 * Hosts the system bus: makes, from each revision, the uids of its roles, the configuration of the bus, and what the
 * graph has to know of the bus.
 *
 * The order matters, so that no role is ever known by a uid that another role could get: first the uids are written to
 * disk, then the bus is told its users, and only then do the bus's rules and the graph use the uids. A write that
 * failed is tried again at growing intervals; until it succeeds, the roles in it have no uid. Nothing is written that
 * has not changed. The bus is started for the first revision that needs it; for a later one that does not, it is
 * configured to allow nothing.
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
import { busConfiguration } from './configuration.js';
import type { Keeper, KeptUids } from './keeper.js';
import { UidBook, type UidRange } from './uid-book.js';

/** The part of a Keeper that is used here. */
export type Keeping = Pick<Keeper, 'kept' | 'onAgain' | 'keepUids' | 'addUsers' | 'configure'>;

export interface BusHostOptions {
  /** Where the bus listens, on the host. */
  readonly socket: string;
  readonly uids: UidRange;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
}

type OnLate = (hosted: HostedBus | undefined) => void;

/** The longest that a graph waits for the bus, in milliseconds. */
const LATE_MS = 1_000;
/** The first and the longest wait before a failed write is tried again, in milliseconds. */
const AGAIN_FIRST_MS = 1_000;
const AGAIN_MOST_MS = 60_000;
/** pvx-bus has ended: that is logged elsewhere, and its successor is sent everything. */
const GONE = 'EPIPE';

export class BusHost {
  readonly #options: BusHostOptions;
  readonly #log: BusHostOptions['log'];
  #keeper: Keeping | null = null;
  #book: UidBook | null = null;
  #error: LinkError | null = null;
  #revision: Revision | null = null;
  #onLate: OnLate = () => undefined;
  /** The role uids that are on disk, and whether the book has others. */
  #kept: ReadonlyMap<string, number> = new Map();
  #isUnkept = false;
  /** The role uids that the graph may use: those whose users the bus has been told. */
  #known: ReadonlyMap<string, number> | null = null;
  /** What pvx-bus has been sent: the uids of users, and the configuration. */
  readonly #users = new Set<number>();
  #configuration = '';
  readonly #retry = new Retry(new BackOff(AGAIN_MOST_MS, AGAIN_FIRST_MS));
  /** How long is being waited now. */
  #againMs = 0;
  readonly #queue = new SerialQueue();

  constructor(options: BusHostOptions) {
    this.#options = options;
    this.#log = options.log;
  }

  /** A program is given what an earlier one had, and so are its successors behind the same keeper. */
  attach(keeper: Keeping): Promise<void> {
    keeper.onAgain = () => void this.#giveAll(keeper);
    return this.#giveAll(keeper);
  }

  #giveAll(keeper: Keeping): Promise<void> {
    return this.#queue.run(async () => {
      this.#forgetProgram();
      const kept = await keeper.kept;
      if (!kept.ok) {
        this.#fail(kept.why);
        return;
      }
      this.#keeper = keeper;
      this.#error = null;
      if (!this.#book) await this.#readBook(kept.value, keeper);
      if (this.#revision) await this.#apply(this.#revision);
    });
  }

  /** No program can run here. `why`: the end of a sentence. */
  giveUp(why: string): Promise<void> {
    return this.#queue.run(async () => {
      this.#forgetProgram();
      this.#fail(why);
    });
  }

  /**
   * What the graph of this revision has to know; undefined: the revision does not use the bus. Never rejects. If a disk
   * or pvx-bus is slow, it resolves after LATE_MS with what was known before, and `onLate` is given the outcome later.
   */
  async host(revision: Revision, onLate: OnLate = () => undefined): Promise<HostedBus | undefined> {
    const hosting = this.#host(revision, onLate);
    const hosted = await withDeadline(hosting, LATE_MS, 'late' as const);
    if (hosted !== 'late') return hosted;
    void hosting.then((late) => setImmediate(onLate, late)); // after our caller has its answer
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

  /** The uids that could be read count as being on disk, even if the rest of the file is damaged. */
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
    let errno = users.length > 0 ? await keeper.addUsers(users) : null;
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

  #forgetProgram(): void {
    this.#users.clear();
    this.#configuration = '';
  }

  #fail(why: string): void {
    const message = `The hosted system bus can't run here: ${why}.`;
    this.#error = { code: 'bus-off', message };
  }
}
