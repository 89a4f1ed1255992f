/**
 * What the page knows, made of what the feed sends, and what of it is shown: rows that match the filter, containers and
 * the links between them. Pure, but for the one place that tells its listeners.
 */
import {
  type Change,
  type Counters,
  type DaemonState,
  MAX_OCCURRENCES,
  type Occurrence,
  type Row,
} from '../wire.js';

/** A link with its counters. */
export interface Link extends Row {
  readonly active: number;
  readonly total: number;
  readonly refused: number;
  readonly denied: number;
  readonly toProvider: number;
  readonly toConsumer: number;
  /** Bytes a second. */
  readonly toProviderRate: number;
  readonly toConsumerRate: number;
}

/** `connecting`: for the first time. `lost`: tried again by itself. */
export type Connection = 'connecting' | 'open' | 'lost' | 'full' | 'refused';

export const STATES = ['established', 'waiting', 'failed', 'unmet', 'draining'] as const;
export type State = (typeof STATES)[number];

/** Those first that need somebody most. */
export const BY_URGENCY: readonly State[] = [
  'failed',
  'unmet',
  'waiting',
  'draining',
  'established',
];

/** A state that this page does not know is shown as one that waits. */
export function stateOf(text: string): State {
  return STATES.find((one) => one === text) ?? 'waiting';
}

const NOTHING: Omit<Link, keyof Row> = {
  ...{ active: 0, total: 0, refused: 0, denied: 0 },
  ...{ toProvider: 0, toConsumer: 0, toProviderRate: 0, toConsumerRate: 0 },
};

export class Model {
  connection: Connection = 'connecting';
  daemon: DaemonState | null = null;
  /** Oldest first. */
  occurrences: readonly Occurrence[] = [];
  /** In the order in which they came. */
  readonly links = new Map<number, Link>();
  /** One more whenever links or containers came or went, or a link changed in more than its counters. */
  shape = 0;
  #listeners = new Set<() => void>();
  #told = false;
  readonly #schedule: (tell: () => void) => void;

  /** `schedule`: calls what it is given later, once: with the next frame. */
  constructor(schedule: (tell: () => void) => void) {
    this.#schedule = schedule;
  }

  /** Calls `listener` at most once a frame. Returns what ends that. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  setConnection(connection: Connection): void {
    this.connection = connection;
    this.#tell();
  }

  /** `whole`: it is all that there is, and nothing of before counts. */
  apply(change: Change, whole: boolean): void {
    if (whole) {
      this.links.clear();
      this.occurrences = [];
    }
    for (const key of change.gone) this.links.delete(key);
    for (const row of change.links) {
      this.links.set(row.key, { ...NOTHING, ...this.links.get(row.key), ...row });
    }
    for (const counters of change.counters) this.#count(counters);
    if (whole || change.gone.length + change.links.length > 0) this.shape++;
    this.occurrences = [...this.occurrences, ...change.occurrences].slice(-MAX_OCCURRENCES);
    this.daemon = change.daemon;
    this.#tell();
  }

  #count(counters: Counters): void {
    const [
      key,
      active,
      total,
      refused,
      denied,
      toProvider,
      toConsumer,
      toProviderRate,
      toConsumerRate,
    ] = counters;
    const link = this.links.get(key);
    if (!link) return;
    const counted = { active, total, refused, denied, toProvider, toConsumer };
    this.links.set(key, { ...link, ...counted, toProviderRate, toConsumerRate });
  }

  #tell(): void {
    if (this.#told) return;
    this.#told = true;
    this.#schedule(() => {
      this.#told = false;
      for (const listener of this.#listeners) listener();
    });
  }
}

/** What is looked for: every word must be in some field of the link. `states` empty: all. */
export interface Filter {
  readonly text: string;
  readonly states: ReadonlySet<State>;
}

export function matcher({ text, states }: Filter): (link: Link) => boolean {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return (link) => {
    if (states.size > 0 && !states.has(stateOf(link.state))) return false;
    if (words.length === 0) return true;
    const { consumer, provider, name, type, role, target, state, error } = link;
    const fields = [consumer, provider, name, type, role, target, state].join('\n').toLowerCase();
    const code = error?.code ?? '';
    return words.every((word) => fields.includes(word) || code.includes(word));
  };
}

export function countsOf(links: Iterable<Link>): Readonly<Record<State, number>> {
  const counts = { established: 0, waiting: 0, failed: 0, unmet: 0, draining: 0 };
  for (const { state } of links) counts[stateOf(state)]++;
  return counts;
}

const BY_NAME = new Intl.Collator('en', { numeric: true });

/** Those that need somebody first, then by name. */
export function inOrder(links: Iterable<Link>): Link[] {
  const urgency = ({ state }: Link) => BY_URGENCY.indexOf(stateOf(state));
  return [...links].sort(
    (one, other) =>
      urgency(one) - urgency(other) ||
      BY_NAME.compare(one.consumer, other.consumer) ||
      BY_NAME.compare(one.name, other.name) ||
      one.key - other.key,
  );
}
