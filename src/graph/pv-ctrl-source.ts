/**
 * The graph of a runtime: `GET /xconnect-graph` over its control socket, and the status back to it.
 *
 * Looks are close together after something happened (start, a refresh, a change, a failure) and grow apart from
 * there, 100 ms doubling to the interval; one at a time. A graph is emitted when its links differ from those
 * emitted last, or when a refresh was asked for since: whoever asked doubts a process, and only a newer stamp
 * tells the old process from a new one of the same pid.
 *
 * An answer that can't be read, or of which no entry can be read, is a failure and changes nothing.
 */
import type net from 'node:net';
import { XConnectError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import { show } from '../manifest/problem.js';
import type { GraphSnapshot } from './link.js';
import { type RuntimeAnswer, RuntimeClient } from './runtime-client.js';
import { GraphSource } from './source.js';
import { StatusPoster } from './status-poster.js';
import { parseGraph } from './wire.js';

export interface PvCtrlSourceOptions {
  /** A socket connected to the runtime, this source's from then on. Rejects where there is none. */
  readonly connect: () => Promise<net.Socket>;
  readonly log: Logger;
  /** Looking unasked, in milliseconds. */
  readonly intervalMs?: number;
  /** For one request and its whole answer. */
  readonly timeoutMs?: number;
  /** Of one answer. */
  readonly maxBytes?: number;
}

const PATH = '/xconnect-graph';
const FIRST_WAIT_MS = 100;
/** Between two looks, whoever asks: a graph that is doubted at once each time must not spin. */
const LEAST_WAIT_MS = 20;
/** Looking unasked may take one part in so many of the time, however long a look takes. */
const SHARE = 20;

export class PvCtrlSource extends GraphSource {
  readonly #log: Logger;
  readonly #intervalMs: number;
  readonly #client: RuntimeClient;
  readonly #poster: StatusPoster;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #stopped = false;
  /** When the last look ended, by performance.now(). */
  #lookedAt = Number.NEGATIVE_INFINITY;
  #waitMs = FIRST_WAIT_MS;
  /** A refresh was asked for that no look has answered. */
  #doubted = false;
  /** Code of the run of failures that we are in. */
  #failing = '';
  #away = false;
  /** JSON of what was emitted last. */
  #links = '';
  #errors = '[]';

  constructor(options: PvCtrlSourceOptions) {
    super();
    const { connect, log, intervalMs = 5_000, timeoutMs = 10_000 } = options;
    this.#log = log;
    this.#intervalMs = intervalMs;
    const maxBytes = options.maxBytes ?? 32 * 1024 * 1024;
    this.#client = new RuntimeClient({ connect, timeoutMs, maxBytes });
    this.#poster = new StatusPoster(this.#client, log);
  }

  start(): void {
    this.#schedule(0);
  }

  refresh(reason: string): void {
    this.#log.debug({ reason }, "a fresh look at the runtime's graph was asked for");
    this.#doubted = true;
    this.#waitMs = FIRST_WAIT_MS;
    if (!this.#looking) this.#schedule(this.#sinceLast());
  }

  /** Tells the runtime, where it wants to know; the newest status wins. Never throws. */
  postStatus(entries: readonly unknown[]): void {
    if (!this.#stopped) this.#poster.post(entries);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#poster.stop();
    this.#client.stop();
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#look(), ms);
  }

  #sinceLast(): number {
    return Math.max(0, LEAST_WAIT_MS - (performance.now() - this.#lookedAt));
  }

  async #look(): Promise<void> {
    this.#looking = true;
    const began = performance.now();
    const doubted = this.#doubted;
    this.#doubted = false;
    const answer = await this.#client.ask({ method: 'GET', path: PATH });
    if (this.#stopped) return;
    const read = answer instanceof XConnectError ? answer : this.#read(answer);
    if (read instanceof XConnectError) this.#fail(read, doubted);
    else this.#take(read, doubted);
    this.#looking = false;
    this.#lookedAt = performance.now();
    this.#schedule(
      this.#doubted && !(read instanceof XConnectError) ? LEAST_WAIT_MS : this.#next(began),
    );
  }

  /** How long to wait, in milliseconds, where nobody asks. */
  #next(began: number): number {
    const ms = Math.max(this.#waitMs, SHARE * (this.#lookedAt - began));
    this.#waitMs = Math.min(2 * this.#waitMs, this.#intervalMs);
    return Math.min(ms, this.#intervalMs);
  }

  #read({ status, body, stamp }: RuntimeAnswer): GraphSnapshot | XConnectError {
    if (status !== 200) return senseless(`status ${status}`);
    let json: unknown;
    try {
      json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    } catch {
      return senseless(`${body.length} bytes that are not JSON`);
    }
    if (!Array.isArray(json)) return senseless(show(json));
    const { links, errors } = parseGraph(json);
    this.#logErrors(errors);
    if (json.length > 0 && links.length === 0) {
      return senseless(`no entry that can be read (${errors[0]})`);
    }
    return { links, stamp };
  }

  /** Each distinct list once. */
  #logErrors(errors: readonly string[]): void {
    const text = JSON.stringify(errors);
    if (text === this.#errors) return;
    this.#errors = text;
    for (const error of errors) this.#log.warn(`${PATH}: ${error}`);
  }

  #fail(error: XConnectError, doubted: boolean): void {
    if (doubted) this.#doubted = true;
    if (error.code === 'runtime-away') this.#away = true;
    if (error.code === this.#failing) return;
    this.#failing = error.code;
    this.#waitMs = FIRST_WAIT_MS;
    this.emit('failure', error);
  }

  #take(snapshot: GraphSnapshot, doubted: boolean): void {
    if (this.#failing !== '') {
      this.#failing = '';
      this.#waitMs = FIRST_WAIT_MS;
      this.emit('recovered');
    }
    const links = JSON.stringify(snapshot.links);
    const changed = links !== this.#links;
    if (changed) this.#waitMs = FIRST_WAIT_MS;
    this.#links = links;
    if (changed || doubted) this.emit('graph', snapshot);
    this.#poster.runtimeAnswered(this.#away);
    this.#away = false;
  }
}

function senseless(found: string): XConnectError {
  return new XConnectError(
    'runtime-answer',
    `${PATH} of the runtime: found ${found}, expected a JSON array of links.`,
  );
}
