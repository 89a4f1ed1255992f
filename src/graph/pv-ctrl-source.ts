/**
 * The graph of a runtime: `GET /xconnect-graph` over its control socket, and the status back to it.
 *
 * When to look next is in look-interval.ts; one look at a time. A graph is emitted when its links differ from those
 * emitted last, or when a refresh was asked for since: whoever asked doubts a process, and only a newer stamp
 * tells the old process from a new one of the same pid.
 *
 * An answer that can't be read, or of which no entry can be read, is a failure and changes nothing.
 */
import type net from 'node:net';
import { XConnectError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import { show } from '../manifest/problem.js';
import { EXTERNAL, type GraphSnapshot, type Link, RUNTIME_PROVIDER } from './link.js';
import { LookInterval } from './look-interval.js';
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
/** Between two looks, whoever asks: a graph that is doubted at once each time must not spin. */
const LEAST_WAIT_MS = 20;

export class PvCtrlSource extends GraphSource {
  readonly #log: Logger;
  readonly #interval: LookInterval;
  readonly #client: RuntimeClient;
  readonly #poster: StatusPoster;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #stopped = false;
  /** When the last look ended, by performance.now(). */
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** A refresh was asked for that no look has answered. */
  #doubted = false;
  /** Code of the run of failures that we are in. */
  #failing = '';
  #away = false;
  /** JSON of what was emitted last. */
  #links = '';
  #said = '[]';

  constructor(options: PvCtrlSourceOptions) {
    super();
    const { connect, log, intervalMs = 5_000, timeoutMs = 10_000 } = options;
    this.#log = log;
    this.#interval = new LookInterval(intervalMs, performance.now());
    const maxBytes = options.maxBytes ?? 32 * 1024 * 1024;
    this.#client = new RuntimeClient({ connect, timeoutMs, maxBytes });
    this.#poster = new StatusPoster(this.#client, log);
  }

  start(): void {
    this.#schedule(0);
  }

  refresh(reason: string): void {
    this.#interval.news(performance.now());
    this.#lookSoon(reason);
  }

  doubt(reason: string): void {
    this.#interval.expect();
    this.#lookSoon(reason);
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

  #lookSoon(reason: string): void {
    this.#log.debug({ reason }, "a fresh look at the runtime's graph was asked for");
    this.#doubted = true;
    if (!this.#looking) this.#schedule(this.#sinceLast());
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
    this.emit('looked');
    this.#looking = false;
    this.#lookedAt = performance.now();
    const isAgain = this.#doubted && !(read instanceof XConnectError);
    const next = this.#interval.next(this.#lookedAt, workedFrom(answer, began) ?? this.#lookedAt);
    this.#schedule(isAgain ? LEAST_WAIT_MS : next);
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
    const { links, errors, notices } = parseGraph(json);
    this.#logSaid([...errors, ...notices]);
    const isLost = links.every(({ error }) => error?.code === 'runtime-answer');
    if (errors.length > 0 && isLost) {
      return senseless(`no entry that can be read (${errors[0]})`);
    }
    return { links, stamp };
  }

  /** Each distinct list once. */
  #logSaid(sentences: readonly string[]): void {
    const text = JSON.stringify(sentences);
    if (text === this.#said) return;
    this.#said = text;
    for (const sentence of sentences) this.#log.warn(`${PATH}: ${sentence}`);
  }

  #fail(error: XConnectError, doubted: boolean): void {
    if (doubted) this.#doubted = true;
    if (error.code === 'runtime-away') this.#away = true;
    if (error.code === this.#failing) return;
    this.#failing = error.code;
    this.#interval.news(performance.now());
    this.#interval.expect();
    this.emit('failure', error);
  }

  #take(snapshot: GraphSnapshot, doubted: boolean): void {
    const recovered = this.#failing !== '';
    const links = JSON.stringify(snapshot.links);
    const changed = links !== this.#links;
    this.#failing = '';
    this.#links = links;
    if (recovered || changed) {
      this.#interval.news(performance.now());
      this.#interval.expect(snapshot.links.some(isMissing));
    }
    if (recovered) this.emit('recovered');
    if (changed || doubted) this.emit('graph', snapshot);
    this.#poster.runtimeAnswered(this.#away);
    this.#away = false;
  }
}

/** A container of it is still to come. */
function isMissing({ consumer, consumerPid, provider, providerPid }: Link): boolean {
  return (
    (consumerPid <= 0 && consumer !== EXTERNAL) ||
    (providerPid <= 0 && provider !== RUNTIME_PROVIDER)
  );
}

/** From when on a look that began then kept both sides busy; null: not at all. */
function workedFrom(answer: RuntimeAnswer | XConnectError, began: number): number | null {
  if (!(answer instanceof XConnectError)) return answer.beganAt;
  return answer.code === 'runtime-away' ? null : began;
}

function senseless(found: string): XConnectError {
  return new XConnectError(
    'runtime-answer',
    `${PATH} of the runtime: found ${found}, expected a JSON array of links.`,
  );
}
