/**
 * The typed client of pvx-bus, which keeps the role uids on disk and runs the bus. native/bus/bus.h has the records.
 *
 * Failures are values. Requests are answered in order. A request that is not answered in time fails, and so do all
 * requests once pvx-bus has ended.
 */
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
/** The most bytes of data in one record: RECORD_MAX less its head. */
const DATA_MAX = 32_768 - HEAD;
const KEPT_MAX = 16 * 1024 * 1024;
const TIMEOUT_MS = 10_000;
const GONE = 'EPIPE';

type Settle = (errno: string | null) => void;

export class Keeper {
  /** The uids on disk, or a sentence that says why pvx-bus could not begin. Never rejects. */
  readonly kept: Promise<WhyResult<KeptUids>>;
  readonly #channel: Channel;
  readonly #log: Pick<Logger, 'info' | 'warn'>;
  readonly #onEnd: () => void;
  readonly #lines: LogLines;
  readonly #waiting: Settle[] = [];
  readonly #texts = new Map<string, Buffer[]>();
  #uids: string | null = null;
  #begin!: (kept: WhyResult<KeptUids>) => void;
  #begun = false;
  #gone = false;

  /**
   * Takes the descriptor of a SOCK_SEQPACKET pair. `log`: for what the bus does, and for its output. `onEnd`: pvx-bus
   * had begun, and has ended.
   */
  constructor(fd: number, log: Pick<Logger, 'info' | 'warn'>, onEnd: () => void) {
    this.#log = log;
    this.#onEnd = onEnd;
    this.#lines = new LogLines((line) => log.info(line));
    this.kept = new Promise((resolve) => {
      this.#begin = resolve;
    });
    this.#channel = new Channel(fd, true);
    this.#channel.onData = (record) => this.#received(record);
    this.#channel.onEnd = () => this.#ended();
  }

  /** Resolves when both copies are on disk, with null; or with the name of an errno. */
  keepUids(text: string): Promise<string | null> {
    return this.#ask(RECORD.uids, chunks(Buffer.from(text)));
  }

  /** Adds lines to the /etc/passwd of the bus. */
  async addUsers(lines: readonly string[]): Promise<string | null> {
    let errno: string | null = null;
    for (let at = 0; at < lines.length && errno === null; at += 256) {
      errno = await this.#ask(RECORD.users, [Buffer.from(lines.slice(at, at + 256).join(''))]);
    }
    return errno;
  }

  /** Starts the bus with this configuration, or has it reload it. */
  configure(text: string): Promise<string | null> {
    return this.#ask(RECORD.configuration, chunks(Buffer.from(text)));
  }

  /** Ends pvx-bus, and the bus with it. */
  close(): void {
    this.#channel.close();
    this.#fail();
  }

  #ask(type: string, data: readonly Buffer[]): Promise<string | null> {
    if (this.#gone) return Promise.resolve(GONE);
    const answer = new Promise<string | null>((resolve) => {
      this.#waiting.push(resolve);
      for (const [at, chunk] of data.entries()) {
        const more = at + 1 < data.length ? 1 : 0;
        this.#channel.write(Buffer.concat([Buffer.from([type.charCodeAt(0), more]), chunk]));
      }
    });
    return withDeadline(answer, TIMEOUT_MS, 'ETIMEDOUT');
  }

  #received(record: Buffer): void {
    const type = String.fromCharCode(record[0] ?? 0);
    const data = record.subarray(HEAD);
    if (type === RECORD.up) this.#log.info('the hosted system bus listens');
    else if (type === RECORD.down) this.#log.warn(`the hosted system bus ended: ${data}`);
    else if (type === RECORD.log) this.#lines.add(data);
    else if (type === RECORD.failed) this.#begin({ ok: false, why: data.toString() });
    else if (this.#uids === null || type === RECORD.copy) this.#keptBefore(type, record);
    else this.#waiting.shift()?.(errnoOf(data));
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
      this.#begin(ok([this.#uids ?? '', text]));
    }
  }

  #ended(): void {
    if (this.#gone) return;
    this.#channel.close();
    this.#fail();
    if (this.#begun) this.#onEnd();
  }

  #fail(): void {
    this.#gone = true;
    this.#begin({ ok: false, why: 'pvx-bus ended before it had begun' });
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
