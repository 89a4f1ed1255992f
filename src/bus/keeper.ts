/**
 * The typed client of pvx-bus, which keeps the role uids on disk and runs the bus. native/bus/bus.h has the records.
 *
 * Failures are values. Requests are answered in order. A request that is not answered in time fails, and so do all
 * requests once pvx-bus has ended.
 *
 * The channel may be older than the daemon, and outlive pvx-bus: whoever is new at an end begins anew.
 *
 *   pvx-bus is started      ──▶ "started"; it drops what it reads until "begin"
 *   a keeper begins         ──▶ "begin"; it drops what it reads until the answer, which the texts follow
 *   a keeper reads "started" ─▶ what it has asked fails; the same
 */
import { BETWEEN_VERSIONS } from '../kernel/between-versions.js';
import { withDeadline } from '../kernel/deadline.js';
import { errnoName } from '../kernel/errno.js';
import type { Logger } from '../kernel/log.js';
import { ok, type WhyResult } from '../kernel/result.js';
import { wordAt } from '../kernel/word.js';
import { Channel } from '../relay/channel.js';
import { LogLines } from './log-lines.js';

/** The file of role uids and its copy, as they were on disk; an empty text for a file that is not there. */
export type KeptUids = readonly [string, string];

const RECORD = {
  started: 's',
  begin: 'b',
  uids: 'u',
  copy: 'o',
  users: 'p',
  configuration: 'c',
  up: 'U',
  down: 'D',
  log: 'l',
  failed: 'X',
} as const;
const HEAD = 2;
const VERSION = Buffer.from(Uint32Array.of(BETWEEN_VERSIONS).buffer);
/** The most bytes of data in one record: RECORD_MAX less its head. */
const DATA_MAX = 32_768 - HEAD;
/** The most uids in one record. */
const UIDS_MAX = 4_096;
const KEPT_MAX = 16 * 1024 * 1024;
const TIMEOUT_MS = 10_000;
const GONE = 'EPIPE';

type Settle = (errno: string | null) => void;

export class Keeper {
  /**
   * Another pvx-bus is there, in place of one that had begun: it knows nothing of what that one was sent, and `kept` is
   * a new promise. Requests that were pending fail with `EPIPE`.
   */
  onAgain: (() => void) | null = null;
  readonly #channel: Channel;
  readonly #log: Pick<Logger, 'info' | 'warn'>;
  readonly #onEnd: () => void;
  readonly #lines: LogLines;
  readonly #waiting: Settle[] = [];
  readonly #texts = new Map<string, Buffer[]>();
  /** How many answers to `begin` are yet to come: what comes before the last of them was meant for somebody else. */
  #beginning = 0;
  #uids: string | null = null;
  #kept!: Promise<WhyResult<KeptUids>>;
  #settle!: (kept: WhyResult<KeptUids>) => void;
  #begun = false;
  #gone = false;
  #isPaused = false;

  /**
   * Takes the descriptor of a SOCK_SEQPACKET pair, which others may have used before. `log`: for what the bus does, and
   * for its output. `onEnd`: pvx-bus had begun, and the channel has ended.
   */
  constructor(fd: number, log: Pick<Logger, 'info' | 'warn'>, onEnd: () => void = () => undefined) {
    this.#log = log;
    this.#onEnd = onEnd;
    this.#lines = new LogLines((line) => log.info(line));
    this.#promise();
    this.#channel = new Channel(fd, true);
    this.#channel.onData = (record) => this.#received(record);
    this.#channel.onEnd = () => this.#ended();
    this.#ask();
  }

  /**
   * The uids on disk, or a sentence that says why pvx-bus could not begin. Never rejects. It is pending while no pvx-bus
   * is there.
   */
  get kept(): Promise<WhyResult<KeptUids>> {
    return this.#kept;
  }

  /** Resolves when both copies are on disk, with null; or with the name of an errno. */
  keepUids(text: string): Promise<string | null> {
    return this.#request(RECORD.uids, chunks(Buffer.from(text)));
  }

  /** The bus knows the users of these uids, and lets them in. */
  async addUsers(uids: readonly number[]): Promise<string | null> {
    let errno: string | null = null;
    for (let at = 0; at < uids.length && errno === null; at += UIDS_MAX) {
      const words = Uint32Array.from(uids.slice(at, at + UIDS_MAX));
      errno = await this.#request(RECORD.users, [Buffer.from(words.buffer)]);
    }
    return errno;
  }

  /** Starts the bus with this configuration, or has it reload it. */
  configure(text: string): Promise<string | null> {
    return this.#request(RECORD.configuration, chunks(Buffer.from(text)));
  }

  /** Another one uses the channel from now on: what was asked and what is asked meanwhile fails with `EPIPE`. */
  pause(): void {
    this.#isPaused = true;
    this.#channel.pause();
    for (const settle of this.#waiting.splice(0)) settle(GONE);
  }

  /** It is ours again: everything begins anew, see `onAgain`. */
  resume(): void {
    this.#isPaused = false;
    this.#channel.resume();
    this.#started();
  }

  /** Where nobody else has the channel, it ends, and with it pvx-bus and the bus. */
  close(): void {
    this.#channel.leave();
    this.#fail();
  }

  #request(type: string, data: readonly Buffer[]): Promise<string | null> {
    if (this.#gone || this.#isPaused) return Promise.resolve(GONE);
    const answer = new Promise<string | null>((resolve) => {
      this.#waiting.push(resolve);
      for (const [at, chunk] of data.entries()) this.#send(type, chunk, at + 1 < data.length);
    });
    return withDeadline(answer, TIMEOUT_MS, 'ETIMEDOUT');
  }

  #send(type: string, data: Buffer, more: boolean): void {
    this.#channel.write(Buffer.concat([Buffer.from([type.charCodeAt(0), more ? 1 : 0]), data]));
  }

  /** Has pvx-bus begin with us, whatever it and we were in the middle of. */
  #ask(): void {
    this.#beginning++;
    this.#send(RECORD.begin, VERSION, false);
  }

  #received(record: Buffer): void {
    const type = String.fromCharCode(record[0] ?? 0);
    const data = record.subarray(HEAD);
    if (type === RECORD.up) this.#log.info('the hosted system bus listens');
    else if (type === RECORD.down) this.#log.warn(`the hosted system bus ended: ${data}`);
    else if (type === RECORD.log) this.#lines.add(data);
    else if (type === RECORD.started) this.#started();
    else if (type === RECORD.failed) this.#failed(data.toString());
    else if (type === RECORD.begin) this.#begins(errnoOf(data));
    else if (this.#beginning > 0) return;
    else if (!this.#begun) this.#keptBefore(type, record);
    else this.#waiting.shift()?.(errnoOf(data));
  }

  #begins(errno: string | null): void {
    this.#beginning--;
    if (errno !== null) this.#failed(`it is of another version (${errno}): restart pv-xconnect`);
  }

  #started(): void {
    this.#forget();
    this.#ask();
  }

  #failed(why: string): void {
    this.#forget();
    this.#settle({ ok: false, why });
  }

  /** What an earlier pvx-bus was asked and said. */
  #forget(): void {
    this.#uids = null;
    this.#texts.clear();
    for (const settle of this.#waiting.splice(0)) settle(GONE);
    if (!this.#begun) return;
    this.#begun = false;
    this.#promise();
    this.onAgain?.();
  }

  #promise(): void {
    this.#kept = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** The texts that it begins with. */
  #keptBefore(type: string, record: Buffer): void {
    const parts = this.#texts.get(type) ?? [];
    parts.push(Buffer.from(record.subarray(HEAD)));
    this.#texts.set(type, parts);
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    if (record[1] === 1 && size <= KEPT_MAX) return;
    const text = Buffer.concat(parts).toString();
    if (type === RECORD.uids) this.#uids = text;
    else {
      this.#begun = true;
      this.#settle(ok([this.#uids ?? '', text]));
    }
  }

  #ended(): void {
    if (this.#gone) return;
    const begun = this.#begun;
    this.#channel.leave();
    this.#fail();
    if (begun) this.#onEnd();
  }

  #fail(): void {
    this.#gone = true;
    this.#settle({ ok: false, why: 'pvx-bus ended before it had begun' });
    for (const settle of this.#waiting.splice(0)) settle(GONE);
  }
}

/** At least one chunk, so that an empty text is sent as well. */
function chunks(data: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at === 0 || at < data.length; at += DATA_MAX) {
    parts.push(data.subarray(at, at + DATA_MAX));
  }
  return parts;
}

function errnoOf(data: Buffer): string | null {
  if (data.length < 4) return 'EBADMSG';
  const errno = wordAt(data, 0);
  return errno === 0 ? null : errnoName(errno);
}
