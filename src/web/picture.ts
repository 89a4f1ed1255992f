/**
 * What is known of the mesh, and what has changed of it since any moment. Pure.
 *
 * Every step of knowledge has a number. A browser that knows step N is sent what has a higher number, so a browser that
 * reads slowly gets one difference where others got ten, and nothing is kept for it. All that is kept is bounded by the
 * number of links and two constants.
 */
import type { LiveLink } from '../cli/explanation.js';
import { linkId } from '../graph/link.js';
import {
  type Change,
  type Counters,
  type DaemonState,
  MAX_OCCURRENCES,
  type Occurrence,
  type Row,
  type RowError,
} from './wire.js';

/** What an event of the daemon says. */
export interface LinkEvent {
  readonly consumer: string;
  readonly name: string;
  readonly target: string;
  readonly state: string;
  readonly since: string;
  readonly last_error: RowError | null;
}

/** Links that are gone, and of which a difference can still be told. */
const MAX_GONE = 4_096;
/** Counters of a time shorter than this tell no rate, in milliseconds. */
const MIN_SPAN_MS = 200;

interface Known {
  row: Row;
  counters: Counters;
  /** When these counters were read, in milliseconds. */
  countedAt: number;
  /** The step at which the row, or the counters, became what they are. */
  rowStep: number;
  countersStep: number;
}

export class Picture {
  readonly #links = new Map<string, Known>();
  #gone: { readonly key: number; readonly step: number }[] = [];
  #occurrences: { readonly what: Occurrence; readonly step: number }[] = [];
  #daemon: DaemonState | null = null;
  #step = 1;
  #keys = 0;
  #occurred = 0;
  /** What is gone since a step before this one is no longer known. */
  #forgotten = 0;

  /** The number of the last step. */
  get step(): number {
    return this.#step;
  }

  /** What is kept: links, those that are gone, occurrences. */
  get size(): number {
    return this.#links.size + this.#gone.length + this.#occurrences.length;
  }

  /** The whole graph, as the daemon had it at `now`. */
  replace(links: readonly LiveLink[], now: number): void {
    const step = ++this.#step;
    const left = new Set(this.#links.keys());
    for (const live of links) {
      const id = linkId(live);
      left.delete(id);
      const known = this.#links.get(id);
      if (known) this.#refresh(known, live, now, step);
      else this.#links.set(id, this.#first(live, now, step));
    }
    for (const id of left) this.#remove(id, step);
  }

  /** One event. False: it is about a link that is not known, and the whole graph has to be read. */
  apply(event: LinkEvent, isGone: boolean, now: number): boolean {
    const id = linkId(event);
    const known = this.#links.get(id);
    const step = ++this.#step;
    this.#occur(event, isGone ? 'gone' : event.state, known?.row, now, step);
    if (isGone) {
      this.#remove(id, step);
      return true;
    }
    if (!known) return false;
    const { state, since, last_error } = event;
    known.row = { ...known.row, state, since, error: errorOf(last_error) };
    known.rowStep = step;
    return true;
  }

  /** Whether the daemon answers: null, or a sentence. */
  setProblem(problem: string | null, now: number): void {
    const before = this.#daemon;
    if (before && problem === before.problem) return;
    const isSame = before && (problem === null) === (before.problem === null);
    this.#daemon = { problem, since: isSame ? before.since : iso(now) };
    this.#step++;
  }

  /** Null: so much has changed since that step that only all of it tells, `since(0)`. */
  since(step: number): Change | null {
    if (step > 0 && step < this.#forgotten) return null;
    const known = [...this.#links.values()];
    return {
      links: known.filter(({ rowStep }) => rowStep > step).map(({ row }) => row),
      counters: known.filter((one) => one.countersStep > step).map(({ counters }) => counters),
      gone: step === 0 ? [] : this.#gone.filter((one) => one.step > step).map(({ key }) => key),
      occurrences: this.#occurrences.filter((one) => one.step > step).map(({ what }) => what),
      daemon: this.#daemon,
    };
  }

  #first(live: LiveLink, now: number, step: number): Known {
    const key = ++this.#keys;
    const row = rowOf(key, live);
    return {
      row,
      counters: countersOf(key, live, [0, 0]),
      countedAt: now,
      rowStep: step,
      countersStep: step,
    };
  }

  #refresh(known: Known, live: LiveLink, now: number, step: number): void {
    const row = rowOf(known.row.key, live);
    if (!isEqual(row, known.row)) {
      known.row = row;
      known.rowStep = step;
    }
    const span = now - known.countedAt;
    if (span < MIN_SPAN_MS) return;
    const [, , , , , toProvider, toConsumer] = known.counters;
    const rate = (after: number, before: number) =>
      Math.max(0, Math.round(((after - before) * 1_000) / span)); // a daemon that was started again counts from 0
    const rates = [
      rate(live.bytes.to_provider, toProvider),
      rate(live.bytes.to_consumer, toConsumer),
    ] as const;
    const counters = countersOf(row.key, live, rates);
    known.countedAt = now;
    if (isEqual(counters, known.counters)) return;
    known.counters = counters;
    known.countersStep = step;
  }

  #remove(id: string, step: number): void {
    const known = this.#links.get(id);
    if (!known) return;
    this.#links.delete(id);
    this.#gone.push({ key: known.row.key, step });
    if (this.#gone.length <= MAX_GONE) return;
    const forgotten = this.#gone.splice(0, MAX_GONE / 2);
    this.#forgotten = forgotten.at(-1)?.step ?? this.#forgotten;
  }

  #occur(event: LinkEvent, state: string, row: Row | undefined, now: number, step: number): void {
    const { consumer, name, target, last_error: error } = event;
    const what: Occurrence = {
      ...{ number: ++this.#occurred, at: iso(now), key: row?.key ?? 0 },
      ...{
        consumer,
        name,
        target,
        state,
        message: state === 'gone' ? null : (error?.message ?? null),
      },
    };
    this.#occurrences.push({ what, step });
    if (this.#occurrences.length > MAX_OCCURRENCES) this.#occurrences.shift();
  }
}

function rowOf(key: number, live: LiveLink): Row {
  const { consumer, provider, name, type, role, target, state, since, last_error } = live;
  const error = errorOf(last_error);
  return { key, consumer, provider, name, type, role, target, state, since, error };
}

function errorOf(error: RowError | null): RowError | null {
  if (!error) return null;
  const { code, message, remedy } = error;
  return { code, message, remedy };
}

function countersOf(key: number, live: LiveLink, rates: readonly [number, number]): Counters {
  const { active, total, refused = 0 } = live.connections;
  const denied = Object.values(live.denied ?? {}).reduce((sum, one) => sum + one, 0);
  const { to_provider, to_consumer } = live.bytes;
  return [key, active, total, refused, denied, to_provider, to_consumer, ...rates];
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function iso(now: number): string {
  return new Date(now).toISOString();
}
