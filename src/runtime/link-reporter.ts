/**
 * Says how each link has come out, once that has settled, and again when it has become another: for a person at a
 * terminal, who is told neither every step in between nor the same thing twice.
 */
import type { WireLink } from '../graph/wire.js';
import { isObject } from '../manifest/json.js';
import { printable } from '../manifest/text.js';

/** How long nothing has to have changed, in milliseconds. */
const SETTLE_MS = 1_000;

export class LinkReporter {
  readonly #graph: () => readonly WireLink[];
  readonly #say: (line: string) => void;
  readonly #settleMs: number;
  #said = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(graph: () => readonly WireLink[], say: (line: string) => void, settleMs = SETTLE_MS) {
    this.#graph = graph;
    this.#say = say;
    this.#settleMs = settleMs;
  }

  /** Something may have changed. */
  soon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#report(), this.#settleMs);
    this.#timer.unref();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  /** A link that waits without a word on why is one that the daemon has said nothing of yet. */
  #report(): void {
    const known = this.#graph().filter(
      ({ state, last_error: error }) => state !== 'waiting' || error,
    );
    const now = new Map(known.map((link) => lineOf(link)));
    for (const [id, line] of now) {
      if (this.#said.get(id) !== line) this.#say(line);
    }
    for (const [id, line] of this.#said) {
      if (!now.has(id)) this.#say(`${line.split(': ', 1)[0]}: gone`);
    }
    this.#said = now;
  }
}

function lineOf(link: WireLink): [string, string] {
  const { consumer, name, provider, state, target, last_error: error } = link;
  const what = `link ${consumer} → ${name}${provider ? ` of ${provider}` : ''} at ${target}`;
  const why = isObject(error) ? ` (${String(error.message)})` : error ? ` (${String(error)})` : '';
  return [`${consumer}\0${name}\0${target}`, printable(`${what}: ${state}${why}`)];
}
