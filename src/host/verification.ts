/**
 * Between what a provider's end says of itself and who hears of it: that it can be reached does not mean that it lets
 * the consumer in. A plugin whose protocol can find out is asked before the link is said to be established.
 *
 *     reached ──> asked ──yes──> established ──doubt──> asked, and meanwhile as before
 *                   └──no───> failed, asked again after 1 s, doubling up to 30 s
 *
 * Without such a plugin everything is told as it comes.
 */
import { BackOff } from '../kernel/back-off.js';
import type { LinkError } from '../kernel/errors.js';
import { Retry } from '../kernel/retry.js';
import type { AttachedListener } from '../mesh/attacher.js';

type Told = Parameters<AttachedListener['onState']>;
/** Null: the consumer would be let in. Never rejects. */
export type Check = () => Promise<LinkError | null>;

const AGAIN_FIRST_MS = 1_000;
const AGAIN_MOST_MS = 30_000;
/** Doubts are followed so often at most: a consumer may raise them. */
const DOUBT_MS = 10_000;

export class Verification {
  readonly #tell: AttachedListener['onState'];
  #check: Check | null = null;
  #isReached = false;
  #isVerified = false;
  #isClosed = false;
  /** Counts what there was to be asked about, so that an answer about something earlier is known as such. */
  #subject = 0;
  #isAsking = false;
  #askedAt = Number.NEGATIVE_INFINITY;
  readonly #retry = new Retry(new BackOff(AGAIN_MOST_MS, AGAIN_FIRST_MS));

  constructor(tell: AttachedListener['onState']) {
    this.#tell = tell;
  }

  /** From now on. */
  by(check: Check): void {
    if (!this.#isClosed) this.#check = check;
  }

  /** Of the provider's end. */
  state(...told: Told): void {
    if (this.#isClosed) return;
    const isReached = told[0] === 'established';
    if (!this.#check) {
      this.#tell(...told);
      return;
    }
    if (!isReached) this.anew();
    this.#isReached = isReached;
    if (!isReached || this.#isVerified) this.#tell(...told);
    else if (!this.#isAsking && !this.#retry.isPending) void this.#ask(this.#check);
  }

  /** It is somebody else from now on. */
  anew(): void {
    this.#subject++;
    this.#isReached = this.#isVerified = this.#isAsking = false;
    this.#retry.reset();
  }

  /** The link has ended: nobody is asked any more, and nothing told. */
  close(): void {
    this.anew();
    this.#check = null;
    this.#isClosed = true;
  }

  /** A consumer was not let in. */
  doubt(): void {
    if (!this.#check || !this.#isVerified || this.#isAsking) return;
    if (performance.now() - this.#askedAt >= DOUBT_MS) void this.#ask(this.#check);
  }

  async #ask(check: Check): Promise<void> {
    const subject = this.#subject;
    this.#isAsking = true;
    this.#askedAt = performance.now();
    const error = await check();
    if (subject !== this.#subject) return;
    this.#isAsking = false;
    this.#isVerified = error === null;
    if (error === null) {
      this.#retry.reset();
      this.#tell('established', null);
      return;
    }
    this.#tell('failed', error);
    this.#retry.schedule(() => {
      if (this.#isReached) void this.#ask(check);
    });
  }
}
