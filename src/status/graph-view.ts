/**
 * The forms in which the store is shown: the wire form of chapter 2, and the short one that the runtime is told.
 */
import { linkToWire, type WireLink } from '../graph/wire.js';
import type { LinkError } from '../kernel/errors.js';
import type { LinkStats } from '../mesh/attacher.js';
import { NO_STATS } from '../mesh/stats.js';
import type { LinkStatus, StatusStore } from './store.js';

/** Counters of a link; null where the mesh no longer has it. */
export type StatsOf = (id: string) => LinkStats | null;

/** What a link's plugin shows beside that, by field. */
export type ShownOf = (id: string) => Readonly<Record<string, unknown>>;

/** `GET /xconnect-graph`. Counters are of this daemon's lifetime and never go back; bytes. */
export function graphView(
  store: StatusStore,
  stats: StatsOf,
  shown: ShownOf = () => ({}),
): WireLink[] {
  return [...store.all()].map((status) => {
    const { active, total, toProvider, toConsumer } = stats(status.id) ?? NO_STATS;
    return {
      ...linkToWire(status.link),
      ...stateView(status),
      connections: { active, total },
      bytes: { to_provider: toProvider, to_consumer: toConsumer },
      ...shown(status.id),
    };
  });
}

export interface StatusEntry {
  readonly consumer: string;
  readonly name: string;
  readonly target: string;
  readonly established: boolean;
  readonly last_error: LinkError | null;
}

/** `GET /xconnect-status`, and what is posted to the runtime. */
export function statusView(store: StatusStore): StatusEntry[] {
  return [...store.all()].map(({ link, state, error }) => ({
    consumer: link.consumer,
    name: link.name,
    target: link.target,
    established: state === 'established',
    last_error: error,
  }));
}

/** One event of `GET /events`: which link it is, and how it does. */
export function eventView(status: LinkStatus): WireLink {
  const { consumer, name, target } = status.link;
  return { consumer, name, target, ...stateView(status) };
}

function stateView({ state, error, since }: LinkStatus): WireLink {
  return { state, last_error: error, since };
}
