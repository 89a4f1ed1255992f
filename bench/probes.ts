/** What is measured. A probe takes one value for each of its metrics, of one subject, once a round. */
import { bulk, connectionRate, hold, pingPong, timeUntilUsable } from './load.js';
import { memoryOf } from './memory.js';
import type { Stands } from './stands.js';
import type { Subject } from './subject.js';

export interface Metric {
  readonly key: string;
  readonly title: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
}

export interface Probe {
  /** Its name in `--only`. */
  readonly key: string;
  readonly metrics: readonly Metric[];
  /** One value a metric, in order; null: it has no meaning for this subject. */
  measure(subject: Subject, stands: Stands, ms: number): Promise<readonly (number | null)[]>;
}

const MIB = 1024 * 1024;
const IDLE_CONNECTIONS = 1000;
const RESIDENT_LINKS = 100;
/** How long to wait before memory is read, so that freed pages and first allocations are counted. */
const SETTLE_MS = 200;

const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

function bulkProbe(streams: number): Probe {
  return {
    key: 'bulk',
    metrics: [
      {
        key: `bulk-${streams}`,
        title: `bulk, 64 KiB writes one way, ${streams === 1 ? '1 stream' : `${streams} streams`}`,
        unit: 'MiB/s',
        better: 'more',
      },
    ],
    measure: async (subject, stands, ms) => {
      const { front } = await stands.standing(subject);
      return [(await bulk(front, streams, ms)) / MIB];
    },
  };
}

function pingPongProbe(connections: number): Probe {
  const many = connections === 1 ? '1 connection' : `${connections} connections`;
  return {
    key: 'pingpong',
    metrics: [
      {
        key: `pingpong-${connections}`,
        title: `ping-pong, 64 bytes, ${many}`,
        unit: 'round trips/s',
        better: 'more',
      },
      {
        key: `pingpong-${connections}-p50`,
        title: `ping-pong, ${many}, half take at most`,
        unit: 'µs',
        better: 'less',
      },
      {
        key: `pingpong-${connections}-p99`,
        title: `ping-pong, ${many}, 99 of 100 take at most`,
        unit: 'µs',
        better: 'less',
      },
    ],
    measure: async (subject, stands, ms) => {
      const { front } = await stands.standing(subject);
      const { rate, p50, p99 } = await pingPong(front, connections, ms);
      return [rate, p50, p99];
    },
  };
}

const connectProbe: Probe = {
  key: 'connect',
  metrics: [
    {
      key: 'connect',
      title: 'connect, 1 byte there and back, close; 8 clients',
      unit: 'connections/s',
      better: 'more',
    },
  ],
  measure: async (subject, stands, ms) => {
    const { front } = await stands.standing(subject);
    return [await connectionRate(front, 8, ms)];
  },
};

const idleProbe: Probe = {
  key: 'idle',
  metrics: [
    {
      key: 'idle',
      title: `memory of an idle connection, of ${IDLE_CONNECTIONS}`,
      unit: 'bytes',
      better: 'less',
    },
  ],
  measure: (subject, stands) =>
    stands.fresh(subject, 1, async ({ front, start, pids }) => {
      await timeUntilUsable(front, 1, start);
      if (pids().length === 0) return [null];
      await settle();
      const before = memoryOf(pids()).pss;
      const held = await hold(front, IDLE_CONNECTIONS);
      try {
        await settle();
        return [Math.max(0, memoryOf(pids()).pss - before) / IDLE_CONNECTIONS];
      } finally {
        await held.stop();
      }
    }),
};

/** How long until `links` links are usable: of what runs already, or, `isCold`, from its execution. */
function timeProbe(
  key: string,
  metric: string,
  title: string,
  links: number,
  isCold = false,
): Probe {
  return {
    key,
    metrics: [{ key: metric, title, unit: 'ms', better: 'less' }],
    measure: (subject, stands) =>
      stands.fresh(
        subject,
        links,
        async ({ front, start, pids }) => {
          const ms = await timeUntilUsable(front, links, start);
          return [pids().length === 0 ? null : ms];
        },
        isCold,
      ),
  };
}

function usableProbe(links: number): Probe {
  const many = links === 1 ? '1 link' : `${links} links`;
  return timeProbe('usable', `usable-${links}`, `from the change until usable, ${many}`, links);
}

const startProbe = timeProbe(
  'start',
  'start',
  'from the execution until the first link is usable',
  1,
  true,
);

const residentProbe: Probe = {
  key: 'resident',
  metrics: [
    {
      key: 'resident-rss',
      title: `resident, ${RESIDENT_LINKS} links (RSS)`,
      unit: 'MiB',
      better: 'less',
    },
    {
      key: 'resident-pss',
      title: `resident, ${RESIDENT_LINKS} links (PSS: shared pages divided)`,
      unit: 'MiB',
      better: 'less',
    },
  ],
  measure: (subject, stands) =>
    stands.fresh(subject, RESIDENT_LINKS, async ({ front, start, pids }) => {
      await timeUntilUsable(front, RESIDENT_LINKS, start);
      if (pids().length === 0) return [null, null];
      await settle();
      const { rss, pss } = memoryOf(pids());
      return [rss / MIB, pss / MIB];
    }),
};

export const probes: readonly Probe[] = [
  bulkProbe(1),
  bulkProbe(4),
  pingPongProbe(1),
  pingPongProbe(16),
  connectProbe,
  idleProbe,
  usableProbe(1),
  usableProbe(100),
  usableProbe(1000),
  startProbe,
  residentProbe,
];
