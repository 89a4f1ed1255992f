/**
 * Asks the runtime to start the owner of a bus name: `POST /xconnect/dbus/activate {"bus", "name"}`.
 *
 * One question for all who ask at the same time. How many are under way is bounded, as anybody may call any name.
 * What the runtime answers is a value: it agreed, it knows no such name, or it refuses, with its own words.
 */
import type { RuntimeAnswer, RuntimeRequest } from '../graph/runtime-client.js';
import { XConnectError } from '../kernel/errors.js';
import { isObject } from '../manifest/json.js';
import { printable } from '../manifest/text.js';
import type { Activate, Activation } from '../plugins/on-demand.js';

type Ask = (request: RuntimeRequest) => Promise<RuntimeAnswer | XConnectError>;

const PATH = '/xconnect/dbus/activate';
const MAX_UNDER_WAY = 64;
const MAX_WORDS = 500;
/** A name that the runtime does not know is not asked for again for so long, in milliseconds. */
const UNKNOWN_MS = 2_000;
const MAX_UNKNOWN = 256;

/** Without a runtime there is nobody who could start anything. */
export const activateNothing: Activate = (_bus, name) =>
  Promise.resolve({
    outcome: 'refused',
    why: `${name} is started on demand, and there is no runtime here that could: start its container.`,
  });

export class RuntimeActivator {
  readonly #ask: Ask;
  readonly #now: () => number;
  readonly #underWay = new Map<string, Promise<Activation>>();
  readonly #unknown = new Map<string, number>();

  /** `ask`: of a RuntimeClient. `now`: milliseconds. */
  constructor(ask: Ask, now = () => performance.now()) {
    this.#ask = ask;
    this.#now = now;
  }

  readonly activate: Activate = (bus, name) => {
    const key = `${bus}/${name}`; // neither may hold a slash
    const known = this.#underWay.get(key);
    if (known) return known;
    if ((this.#unknown.get(key) ?? 0) > this.#now()) return Promise.resolve({ outcome: 'unknown' });
    if (this.#underWay.size >= MAX_UNDER_WAY) {
      return Promise.resolve({
        outcome: 'refused',
        why: `${MAX_UNDER_WAY} other names are being started: call again later.`,
      });
    }
    const asking = this.#post(bus, name).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, asking);
    return asking;
  };

  async #post(bus: string, name: string): Promise<Activation> {
    const body = JSON.stringify({ bus, name });
    const answer = await this.#ask({ method: 'POST', path: PATH, body });
    if (answer instanceof XConnectError) return { outcome: 'refused', why: answer.message };
    if (answer.status < 300) return { outcome: 'started' };
    if (answer.status === 404) {
      this.#remember(`${bus}/${name}`);
      return { outcome: 'unknown' };
    }
    return { outcome: 'refused', why: wordsOf(answer) };
  }

  #remember(key: string): void {
    this.#unknown.delete(key);
    this.#unknown.set(key, this.#now() + UNKNOWN_MS);
    const [oldest] = this.#unknown.keys();
    if (this.#unknown.size > MAX_UNKNOWN && oldest !== undefined) this.#unknown.delete(oldest);
  }
}

/** `{"Error": "one sentence"}`, as runtimes have it, or the status alone. */
function wordsOf({ status, body }: RuntimeAnswer): string {
  try {
    const value: unknown = JSON.parse(body.toString());
    const words = isObject(value) ? value.Error : undefined;
    if (typeof words === 'string' && words !== '') return printable(words.slice(0, MAX_WORDS));
  } catch {
    // Not JSON: its status says what there is to say.
  }
  return `The runtime refused with status ${status}.`;
}
