/**
 * Keeps a picture true for as long as somebody looks at it: the daemon's events as they come, and its whole graph
 * again and again for the counters. While nobody looks, the daemon is asked nothing.
 *
 *            look                     it listens
 *     idle --------> connecting --------------------> following
 *      ^ ^              ^   |  it can't be reached        |
 *      | |              '---'  again after a second       | the daemon ends it
 *      | '-- rest -- (either)                             v
 *      '------------------------------------------ connecting
 */
import type { Got } from '../cli/control-client.js';
import type { LiveLink } from '../cli/explanation.js';
import type { OnEvent } from './answers.js';
import type { LinkEvent, Picture } from './picture.js';

/** Where the watcher asks: `Answers`, or a model of it. */
export interface Daemon {
  get(path: '/links'): Promise<Got<unknown>>;
  follow(onEvent: OnEvent, onEnd: () => void): Promise<Got<() => void>>;
}

export interface Times {
  /** Between the end of a look at the whole graph and the next one; all in milliseconds. */
  readonly lookMs: number;
  /** Looks take at most one part in this many of the time. */
  readonly share: number;
  readonly againMs: number;
  /** How long it goes on after the last one left, so that a page that is loaded again has its events. */
  readonly lingerMs: number;
}

const TIMES: Times = { lookMs: 1_000, share: 10, againMs: 1_000, lingerMs: 30_000 };

export class Watcher {
  readonly #picture: Picture;
  readonly #daemon: Daemon;
  readonly #onChange: () => void;
  readonly #times: Times;
  #watched = false;
  #lingering: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;
  #end: (() => void) | null = null;
  /** Each connection has a number, so that what comes late of an earlier one is told from this one's. */
  #turn = 0;
  #looking = false;
  #lookAgain = false;

  constructor(picture: Picture, daemon: Daemon, onChange: () => void, times: Partial<Times> = {}) {
    this.#picture = picture;
    this.#daemon = daemon;
    this.#onChange = onChange;
    this.#times = { ...TIMES, ...times };
  }

  /** Somebody looks. */
  look(): void {
    clearTimeout(this.#lingering);
    if (this.#watched) return;
    this.#watched = true;
    void this.#connect();
  }

  /** Nobody looks any more. */
  rest(): void {
    clearTimeout(this.#lingering);
    this.#lingering = setTimeout(() => this.close(), this.#times.lingerMs);
  }

  close(): void {
    clearTimeout(this.#lingering);
    clearTimeout(this.#timer);
    this.#watched = false;
    this.#turn++;
    this.#end?.();
    this.#end = null;
  }

  async #connect(): Promise<void> {
    const turn = ++this.#turn;
    const following = await this.#daemon.follow(
      (name, data) => this.#receive(turn, name, data),
      () => this.#lose(turn, 'The daemon has ended the connection.'),
    );
    if (turn !== this.#turn) {
      if (following.ok) following.value();
    } else if (following.ok) {
      this.#end = following.value;
      void this.#read(turn);
    } else this.#lose(turn, following.error);
  }

  #lose(turn: number, problem: string): void {
    if (turn !== this.#turn) return;
    this.#turn++;
    this.#end?.();
    this.#end = null;
    clearTimeout(this.#timer);
    this.#picture.setProblem(problem, Date.now());
    this.#onChange();
    this.#timer = setTimeout(() => void this.#connect(), this.#times.againMs);
  }

  #receive(turn: number, name: string, data: unknown): void {
    if (turn !== this.#turn) return;
    if (name !== 'state' && name !== 'gone') return;
    const isKnown = this.#picture.apply(data as LinkEvent, name === 'gone', Date.now());
    if (!isKnown) void this.#read(turn);
    this.#onChange();
  }

  /** One look at a time; what is wanted meanwhile becomes one more. */
  async #read(turn: number): Promise<void> {
    this.#lookAgain = this.#looking;
    if (this.#looking) return;
    clearTimeout(this.#timer);
    this.#looking = true;
    const began = Date.now();
    const got = await this.#daemon.get('/links');
    this.#looking = false;
    if (turn !== this.#turn) {
      if (this.#end) void this.#read(this.#turn);
      return;
    }
    if (!got.ok || !Array.isArray(got.value)) {
      this.#lose(turn, got.ok ? 'The daemon sent no array of links.' : got.error);
      return;
    }
    this.#picture.replace(got.value as readonly LiveLink[], Date.now());
    this.#picture.setProblem(null, Date.now());
    this.#onChange();
    const { lookMs, share } = this.#times;
    const wait = Math.max(lookMs, (Date.now() - began) * share);
    this.#timer = setTimeout(() => void this.#read(turn), this.#lookAgain ? lookMs / 4 : wait);
  }
}
