/**
 * `GET /metrics`: Prometheus text or OpenMetrics, taken from the store and the counters at the moment of the scrape.
 *
 * The library costs 12 MB, and its default metrics a timer: so this module is loaded, and its one instance made,
 * at the first scrape. No count is lost by that, as the counters are kept elsewhere.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { BOUNDS_MS, type Durations } from '../kernel/durations.js';
import { packageVersion } from '../kernel/package-version.js';
import type { StatsOf } from './graph-view.js';
import { OPEN_METRICS, openMetrics, wantsOpenMetrics } from './open-metrics.js';
import type { SourceHealth } from './source-health.js';
import type { StatusStore } from './store.js';

const LINK = ['consumer', 'service', 'target'] as const;
/** How often the delay of the event loop is sampled. The library's own 10 ms would keep a device awake. */
const SAMPLE_MS = 1_000;

export interface MetricsOptions {
  readonly store: StatusStore;
  readonly stats: StatsOf;
  readonly health: SourceHealth;
  /** How long connections and requests take is counted. */
  readonly timed?: boolean;
}

/** One that is counted elsewhere: the library's own counts what it is told of one by one. */
class Histogram<T extends string> {
  readonly #name: string;
  readonly #help: string;
  #values: { metricName: string; labels: Record<string, string>; value: number }[] = [];

  /** `_labelNames`: those that `set` is given; that of the bound is added. */
  constructor(name: string, help: string, _labelNames: readonly T[]) {
    this.#name = `pv_xconnect_${name}`;
    this.#help = help;
  }

  register(registry: Registry): void {
    const get = () => ({
      ...{ name: this.#name, help: this.#help, type: 'histogram', values: this.#values },
    });
    registry.registerMetric({ name: this.#name, get } as never); // what it asks of a metric is no more
  }

  clear(): void {
    this.#values = [];
  }

  /** A link without any, such as one whose protocol has no requests, has no line. */
  set(labels: Readonly<Record<T, string>>, durations: Durations | undefined): void {
    if (!durations) return;
    let count = 0;
    const buckets = durations.counts.map((one, i) => {
      count += one;
      const bound = BOUNDS_MS[i];
      const le = bound === undefined ? '+Inf' : String(bound / 1_000);
      return { metricName: `${this.#name}_bucket`, labels: { ...labels, le }, value: count };
    });
    if (count === 0) return;
    const sum = { metricName: `${this.#name}_sum`, labels, value: durations.milliseconds / 1_000 };
    const total = { metricName: `${this.#name}_count`, labels, value: count };
    this.#values.push(...buckets, sum, total);
  }
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

  readonly #connects = new Histogram(
    'connect_seconds',
    'How long connections took to get their provider.',
    LINK,
  );
  readonly #requests = new Histogram('request_seconds', 'How long requests over HTTP took.', LINK);

  constructor(options: MetricsOptions) {
    this.#options = options;
    if (options.timed) {
      for (const histogram of [this.#connects, this.#requests]) histogram.register(this.#registry);
    }
    const build = this.#gauge('build_info', '1, with the version that runs.', ['version']);
    build.set({ version: packageVersion() }, 1);
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: SAMPLE_MS });
  }

  /** `accept`: what the client would take, as of the header. */
  async render(
    accept: string | undefined,
  ): Promise<{ readonly type: string; readonly text: string }> {
    this.#takeLinks();
    this.#takeSource();
    const text = await this.#registry.metrics();
    if (wantsOpenMetrics(accept)) return { type: OPEN_METRICS, text: openMetrics(text) };
    return { type: this.#registry.contentType, text };
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
    this.#connects.clear();
    this.#requests.clear();
    for (const { id, link, state, error } of this.#options.store.all()) {
      const labels = { consumer: link.consumer, service: link.name, target: link.target };
      this.#established.set(labels, state === 'established' ? 1 : 0);
      this.#state.set({ ...labels, state, code: error?.code ?? '' }, 1);
      const stats = this.#options.stats(id);
      if (!stats) continue;
      this.#active.set(labels, stats.active);
      this.#total.inc(labels, stats.total);
      this.#connects.set(labels, stats.connectTimes);
      this.#requests.set(labels, stats.requestTimes);
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
