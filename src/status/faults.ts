/**
 * `POST /fault?consumer=&name=&for=&delay=&rate=&reset=&refuse=&seed=`: a link has a bad provider for a while, for whoever
 * tests how an application bears that.
 */
import { randomInt } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Fault } from '../mesh/attacher.js';
import { resetPlan } from './fault-plan.js';
import { type Asker, type LeaseParts, Leases, type Refused } from './leases.js';

/** Makes a link bad, until the returned function is called. */
export type FaultLink = (link: string, fault: Fault) => () => unknown;

interface FaultAsked {
  readonly delay_ms: number;
  /** Bytes a second. */
  readonly rate: number;
  readonly reset_percent: number;
  readonly refuse: boolean;
  readonly seed: number;
}

const MAX_DELAY_MS = 60_000;
const MAX_RATE = 1e9;
const MAX_SEED = 2 ** 32 - 1;

export class Faults {
  readonly leases: Leases;
  readonly #fault: FaultLink;

  constructor(parts: LeaseParts, fault: FaultLink) {
    this.leases = new Leases({ name: 'fault', done: 'made faulty', most: 16 }, parts);
    this.#fault = fault;
  }

  /** Takes the response, or says why not. */
  add(response: ServerResponse, asker: Asker, asked: URLSearchParams): Refused | null {
    const wanted = faultAsked(asked);
    const details =
      typeof wanted === 'string'
        ? { error: wanted }
        : { mark: wanted, text: `: ${faultText(wanted)}` };
    return this.leases.grant(
      response,
      asker,
      asked,
      (links) => {
        const fault = faultOf(wanted as FaultAsked);
        const ends = links.map(({ id }) => this.#fault(id, fault));
        const end = async () => {
          for (const each of ends) each();
        };
        return { begun: Promise.resolve(), end, summary: () => ({ text: '', data: {} }) };
      },
      details,
    );
  }
}

/** A string: what is wrong with it, in one sentence. */
export function faultAsked(asked: URLSearchParams): FaultAsked | string {
  const number = (name: string, most: number) => {
    const value = Number(asked.get(name) ?? 0);
    return value >= 0 && value <= most ? value : Number.NaN;
  };
  const [delay, rate] = [number('delay', MAX_DELAY_MS), number('rate', MAX_RATE)];
  const [reset, seed] = [number('reset', 100), number('seed', MAX_SEED)];
  if (Number.isNaN(delay)) return `"delay" has to be milliseconds, up to ${MAX_DELAY_MS}.`;
  if (Number.isNaN(rate)) return `"rate" has to be bytes a second, up to ${MAX_RATE}.`;
  if (Number.isNaN(reset)) return '"reset" has to be percent of the connections, up to 100.';
  if (!Number.isInteger(seed)) return `"seed" has to be a whole number up to ${MAX_SEED}.`;
  const refuse = asked.get('refuse') === '1';
  if (!(delay || rate || reset || refuse))
    return 'Give one of "delay", "rate", "reset" and "refuse".';
  return {
    delay_ms: Math.ceil(delay),
    rate: Math.ceil(rate),
    reset_percent: reset,
    refuse,
    seed: asked.has('seed') ? seed : randomInt(MAX_SEED),
  };
}

function faultOf({
  delay_ms: delayMs,
  rate,
  reset_percent: percent,
  refuse,
  seed,
}: FaultAsked): Fault {
  return { delayMs, rate, refuse, resets: resetPlan(percent, seed) };
}

export function faultText({ delay_ms, rate, reset_percent, refuse, seed }: FaultAsked): string {
  return [
    ...(delay_ms > 0 ? [`delay ${delay_ms} ms`] : []),
    ...(rate > 0 ? [`rate ${rate} bytes a second`] : []),
    ...(reset_percent > 0 ? [`reset ${reset_percent} % (seed ${seed})`] : []),
    ...(refuse ? ['refuse'] : []),
  ].join(', ');
}
