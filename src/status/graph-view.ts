/**
 * The forms in which the store is shown: the wire form of docs/control-socket.md, and the short one that the runtime is
 * told.
 */
import { linkToWire, type WireLink } from '../graph/wire.js';
import { type LinkError, REMEDIES } from '../kernel/errors.js';
import type { LinkStats } from '../mesh/attacher.js';
import { NO_STATS } from '../mesh/stats.js';
import { linksAsked } from './links-asked.js';
import type { LinkStatus, StatusStore } from './store.js';

/** Counters of a link; null where the mesh no longer has it. */
export type StatsOf = (id: string) => LinkStats | null;

/** Further fields of a link, which its plugin shows. */
export type ShownOf = (id: string) => Readonly<Record<string, unknown>>;

/** `GET /xconnect-graph`. Counters are of this daemon's lifetime and never go back; bytes. */
export function graphView(
  store: StatusStore,
  stats: StatsOf,
  shown: ShownOf = () => ({}),
): WireLink[] {
  return [...store.all()].map((status) => linkView(status, stats, shown));
}

/**
 * `GET /links?consumer=&name=`: those of this consumer and service, all where neither is asked for, with how their
 * connections ended and what their policies refused.
 */
export function linksView(
  store: StatusStore,
  stats: StatsOf,
  shown: ShownOf = () => ({}),
  asked = new URLSearchParams(),
): WireLink[] {
  return linksAsked(store, asked).map((status) => {
    const { closes, denied = {}, audited = {} } = stats(status.id) ?? NO_STATS;
    return { ...linkView(status, stats, shown), closes, denied, audited };
  });
}

function linkView(status: LinkStatus, stats: StatsOf, shown: ShownOf): WireLink {
  const { active, total, full, toProvider, toConsumer, closes } = stats(status.id) ?? NO_STATS;
  const refused = (closes.refused ?? 0) + (closes['no-provider'] ?? 0);
  return {
    ...linkToWire(status.link),
    ...stateView(status),
    connections: {
      active,
      total,
      ...(refused > 0 && { refused }),
      ...(full !== undefined && { full: true, most: full }),
    },
    bytes: { to_provider: toProvider, to_consumer: toConsumer },
    ...shown(status.id),
  };
}

export interface StatusEntry {
  readonly consumer: string;
  readonly name: string;
  readonly target: string;
  readonly established: boolean;
  readonly last_error: ErrorView | null;
}

export interface ErrorView extends LinkError {
  /** The remedy, in one sentence. */
  readonly remedy: string;
  /** When the error began; ISO 8601, UTC. A new message with the same code is the same error. */
  readonly since: string;
}

/** `GET /xconnect-status`, and what is posted to the runtime. */
export function statusView(store: StatusStore): StatusEntry[] {
  return [...store.all()].map((status) => ({
    consumer: status.link.consumer,
    name: status.link.name,
    target: status.link.target,
    established: status.state === 'established',
    last_error: errorView(status),
  }));
}

/** One event of `GET /events`: the identity of the link, and its state. */
export function eventView(status: LinkStatus): WireLink {
  const { consumer, name, target } = status.link;
  return { consumer, name, target, ...stateView(status) };
}

function stateView(status: LinkStatus): WireLink {
  return { state: status.state, last_error: errorView(status), since: status.since };
}

function errorView({ error, errorSince }: LinkStatus): ErrorView | null {
  if (!error || errorSince === null) return null;
  const { code, message } = error;
  return { code, message, remedy: REMEDIES[code], since: errorSince };
}
