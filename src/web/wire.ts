/**
 * What the page is sent: types alone, of which the server and the page have the same ones.
 *
 * `GET /feed` is a stream of server-sent events. The first is `event: picture`, all that is known; each `event: change`
 * after it is the difference to what this browser was sent before, however long ago that was.
 */

/** One link. `key` is a number that this server gave to it, in place of its identity. */
export interface Row {
  readonly key: number;
  readonly consumer: string;
  readonly provider: string;
  readonly name: string;
  readonly type: string;
  readonly role: string;
  readonly target: string;
  readonly state: string;
  /** ISO 8601, UTC. */
  readonly since: string;
  readonly error: RowError | null;
}

export interface RowError {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

/** Counters of one link; the last two in bytes a second. */
export type Counters = readonly [
  key: number,
  active: number,
  total: number,
  refused: number,
  denied: number,
  toProvider: number,
  toConsumer: number,
  toProviderRate: number,
  toConsumerRate: number,
];

/** A change of a link's state, or its end. */
export interface Occurrence {
  /** Counted from 1. */
  readonly number: number;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly key: number;
  readonly consumer: string;
  readonly name: string;
  readonly target: string;
  /** `gone`: nothing is left of the link. */
  readonly state: string;
  readonly message: string | null;
}

/** `problem`: why the daemon can't be asked, a sentence; null while it answers. */
export interface DaemonState {
  readonly problem: string | null;
  /** Since when that is so; ISO 8601, UTC. */
  readonly since: string;
}

export interface Change {
  readonly links: readonly Row[];
  readonly counters: readonly Counters[];
  /** Keys of links that are gone. */
  readonly gone: readonly number[];
  /** Oldest first, the newest of those that are kept. */
  readonly occurrences: readonly Occurrence[];
  /** Null: it has not answered yet. */
  readonly daemon: DaemonState | null;
}

/** What `GET /link?consumer=&name=&target=` answers with. */
export interface Details {
  readonly steps: readonly DetailStep[];
  /** How often, by the rule that would allow it. */
  readonly denied: Readonly<Record<string, number>>;
  /** The same of what a policy in audit mode would have refused. */
  readonly audited: Readonly<Record<string, number>>;
  /** Ended connections by reason. */
  readonly closes: Readonly<Record<string, number>>;
  readonly socket: string;
  /** Open ones, the oldest first; null: the daemon can't tell. */
  readonly connections: readonly DetailConnection[] | null;
}

export interface DetailConnection {
  readonly since: string;
  /** Who has it, in words: a process or an address. Empty: nobody knows. */
  readonly client: string;
  /** Inside its container. */
  readonly uid: number | null;
  readonly toProvider: number;
  readonly toConsumer: number;
  /** A name on the bus, or the last request. Empty: neither. */
  readonly about: string;
}

/** The most of them that are told of. */
export const MAX_CONNECTIONS = 100;

export interface DetailStep {
  readonly name: string;
  readonly mark: 'ok' | 'failed' | 'skipped';
  readonly found: string;
  readonly expected?: string;
  readonly remedy?: string;
}

/** The newest occurrences that the server keeps, and the page. */
export const MAX_OCCURRENCES = 200;
