/**
 * Asks the runtime to start the owner of a bus name: `POST /xconnect/dbus/activate {"bus", "name"}`.
 *
 * A name is asked for once, for all callers that wait for it, until it has an owner. The number of pending questions is
 * bounded, as any consumer may call any name. The answer is a value: the runtime agreed, knows no such name, or
 * refused, in its own words.
 */
import {
  isUnknownEndpoint,
  type RuntimeAnswer,
  type RuntimeRequest,
  wordsOf,
} from '../graph/runtime-client.js';
import { XConnectError } from '../kernel/errors.js';
import { printable } from '../manifest/text.js';
import type { ActivationResult, Activator } from '../plugins/on-demand.js';

type Ask = (request: RuntimeRequest) => Promise<RuntimeAnswer | XConnectError>;

const PATH = '/xconnect/dbus/activate';
const MAX_ASKED = 64;
const MAX_WORDS = 500;
/** How long an answer is used for other callers too, in milliseconds. `started`: as long as a call waits. */
const VALID_MS: Readonly<Record<ActivationResult['outcome'], number>> = {
  started: 20_000,
  unknown: 2_000,
  refused: 0,
};

/** For daemons without a runtime, which could start the owner. */
export const NO_ACTIVATOR: Activator = {
  activate: (_bus, name) =>
    Promise.resolve({
      outcome: 'refused',
      why: `${name} is started on demand, and there is no runtime here that could: start its container.`,
    }),
  done: () => undefined,
};

export class RuntimeActivator implements Activator {
  readonly #ask: Ask;
  readonly #now: () => number;
  /** Questions by name, until `done` or until their answer is no longer valid. */
  readonly #asked = new Map<
    string,
    { readonly activation: Promise<ActivationResult>; until: number }
  >();

  /** `ask`: that of a RuntimeClient. `now`: in milliseconds. */
  constructor(ask: Ask, now = () => performance.now()) {
    this.#ask = ask;
    this.#now = now;
  }

  activate(bus: string, name: string): Promise<ActivationResult> {
    const key = keyOf(bus, name);
    const known = this.#asked.get(key);
    if (known && known.until > this.#now()) return known.activation;
    this.#asked.delete(key);
    if (this.#asked.size >= MAX_ASKED && !this.#forgetOne()) {
      const why = `${MAX_ASKED} other names are being started: call again later.`;
      return Promise.resolve({ outcome: 'refused', why });
    }
    const entry = { activation: this.#post(bus, name), until: Number.POSITIVE_INFINITY };
    this.#asked.set(key, entry);
    void entry.activation.then(({ outcome }) => {
      entry.until = this.#now() + VALID_MS[outcome];
    });
    return entry.activation;
  }

  done(bus: string, name: string): void {
    const key = keyOf(bus, name);
    const known = this.#asked.get(key);
    if (known && known.until < Number.POSITIVE_INFINITY) this.#asked.delete(key);
  }

  /** The oldest whose answer is there. */
  #forgetOne(): boolean {
    for (const [key, { until }] of this.#asked) {
      if (until < Number.POSITIVE_INFINITY) return this.#asked.delete(key);
    }
    return false;
  }

  async #post(bus: string, name: string): Promise<ActivationResult> {
    const body = JSON.stringify({ bus, name });
    const answer = await this.#ask({ method: 'POST', path: PATH, body });
    if (answer instanceof XConnectError) return { outcome: 'refused', why: answer.message };
    if (answer.status < 300) return { outcome: 'started' };
    if (isUnknownEndpoint(answer)) return { outcome: 'unknown' };
    return { outcome: 'refused', why: reason(answer) };
  }
}

/** Neither may hold a slash. */
function keyOf(bus: string, name: string): string {
  return `${bus}/${name}`;
}

/** The runtime's own words, or the status alone. */
function reason(answer: RuntimeAnswer): string {
  const words = wordsOf(answer);
  if (words !== undefined) return printable(words.slice(0, MAX_WORDS));
  return `The runtime refused with status ${answer.status}.`;
}
