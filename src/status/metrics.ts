/**
 * `GET /metrics`: Prometheus text, taken from the store and the counters at the moment of the scrape.
 *
 * The library costs 12 MB, and its default metrics a timer: so this module is loaded, and its one instance made,
 * at the first scrape. No count is lost by that, as the counters are kept elsewhere.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { packageVersion } from '../kernel/package-version.js';
import type { StatsOf } from './graph-view.js';
import type { SourceHealth } from './source-health.js';
import type { StatusStore } from './store.js';

const LINK = ['consumer', 'service', 'target'] as const;
/** How often the delay of the event loop is sampled. The library's own 10 ms would keep a device awake. */
const SAMPLE_MS = 1_000;

export interface MetricsOptions {
  readonly store: StatusStore;
  readonly stats: StatsOf;
  readonly health: SourceHealth;
}

export class Metrics {
  readonly #options: MetricsOptions;
  readonly #registry = new Registry();
  readonly #links = this.#gauge('links', 'Links by state.', ['state']);
  readonly #established = this.#gauge('link_established', '1 if the consumer can connect.', LINK);
  readonly #state = this.#gauge(
    'link_state',
    '1 for the state that the link is in, with the code of what is wrong (empty: nothing).',
    [...LINK, 'state', 'code'],
  );
  readonly #active = this.#gauge('connections_active', 'Connections that are open.', LINK);
  readonly #total = this.#counter('connections_total', 'Connections so far.', LINK);
  readonly #bytes = this.#counter('bytes_total', 'Bytes carried, by direction.', [
    ...LINK,
    'direction',
  ]);
  readonly #closes = this.#counter('closes_total', 'Ended connections, by reason.', [
    ...LINK,
    'reason',
  ]);
  readonly #denied = this.#counter(
    'denied_total',
    'Messages that a policy refused, or in audit mode would have, by the rule that would allow them.',
    [...LINK, 'verdict', 'rule'],
  );
  readonly #up = this.#gauge('source_up', '1 if the graph could be read last time.', []);
  readonly #failures = this.#counter(
    'source_failures_total',
    'Times that the graph became unreadable, by code.',
    ['code'],
  );

  constructor(options: MetricsOptions) {
    this.#options = options;
    const build = this.#gauge('build_info', '1, with the version that runs.', ['version']);
    build.set({ version: packageVersion() }, 1);
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: SAMPLE_MS });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  render(): Promise<string> {
    this.#takeLinks();
    this.#takeSource();
    return this.#registry.metrics();
  }

  #takeLinks(): void {
    const perLink = [
      this.#established,
      this.#state,
      this.#active,
      this.#total,
      this.#bytes,
      this.#closes,
      this.#denied,
    ];
    for (const metric of perLink) metric.reset(); // links that left leave no trace
    for (const { id, link, state, error } of this.#options.store.all()) {
      const labels = { consumer: link.consumer, service: link.name, target: link.target };
      this.#established.set(labels, state === 'established' ? 1 : 0);
      this.#state.set({ ...labels, state, code: error?.code ?? '' }, 1);
      const stats = this.#options.stats(id);
      if (!stats) continue;
      this.#active.set(labels, stats.active);
      this.#total.inc(labels, stats.total);
      this.#bytes.inc({ ...labels, direction: 'to_provider' }, stats.toProvider);
      this.#bytes.inc({ ...labels, direction: 'to_consumer' }, stats.toConsumer);
      for (const [reason, count] of Object.entries(stats.closes)) {
        this.#closes.inc({ ...labels, reason }, count);
      }
      for (const [rule, count] of Object.entries(stats.denied ?? {})) {
        this.#denied.inc({ ...labels, verdict: 'denied', rule }, count);
      }
      for (const [rule, count] of Object.entries(stats.audited ?? {})) {
        this.#denied.inc({ ...labels, verdict: 'would-deny', rule }, count);
      }
    }
    const counts = this.#options.store.countByState();
    for (const [state, count] of Object.entries(counts)) this.#links.set({ state }, count);
  }

  #takeSource(): void {
    const { failing, counts } = this.#options.health;
    this.#up.set(failing ? 0 : 1);
    this.#failures.reset();
    for (const [code, count] of counts) this.#failures.inc({ code }, count);
  }

  #gauge<T extends string>(name: string, help: string, labelNames: readonly T[]): Gauge<T> {
    return new Gauge({
      name: `pv_xconnect_${name}`,
      help,
      labelNames,
      registers: [this.#registry],
    });
  }

  #counter<T extends string>(name: string, help: string, labelNames: readonly T[]): Counter<T> {
    return new Counter({
      name: `pv_xconnect_${name}`,
      help,
      labelNames,
      registers: [this.#registry],
    });
  }
}
