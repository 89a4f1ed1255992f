/**
 * `npm run bench -- dbus`: calls per second of one client to one service over a real dbus-daemon, directly, through
 * ours and through xdg-dbus-proxy, with twenty rules and without.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatAim } from '../aims.js';
import { benchCommand, type Options, presentOf, roundsOf, writeReport } from '../command.js';
import { busCalls, compileLoad } from '../load.js';
import type { Metric } from '../probes.js';
import { formatNumber, median, NONE, OURS, ratio, type Series } from '../report.js';
import { measureRounds } from '../rounds.js';
import { startBus } from './bus.js';
import { type BusStand, OURS_FILTERED, PROXY, PROXY_FILTERED, subjects } from './subjects.js';

const ROUNDS = 9;
const UNDER_WAY = [1, 64];
/** The aims: subject of ours, subject to compare it with, and the least ratio of calls per second. */
const AIMS = [
  [OURS_FILTERED, PROXY_FILTERED, 1.2],
  [OURS, NONE, 0.6],
] as const;

const probes = UNDER_WAY.map((calls) => {
  const metric: Metric = {
    key: `calls-${calls}`,
    title: `calls, ${calls} under way`,
    unit: 'calls/s',
    better: 'more',
  };
  return { calls, metrics: [metric] };
});
const metrics = probes.flatMap((probe) => probe.metrics);

/** The series of each metric. */
async function run(rounds: number, ms: number): Promise<Series[][]> {
  const { present } = presentOf(subjects);
  const folder = mkdtempSync(join(tmpdir(), 'pvx-bench-'));
  chmodSync(folder, 0o755); // the daemon is not root
  const up: { key: string; title: string; stand: BusStand }[] = [];
  const bus = await startBus(folder);
  try {
    for (const { key, title, stand } of present) {
      up.push({ key, title, stand: await stand(mkdtempSync(join(folder, 'stand-')), bus) });
    }
    // A warm-up, not counted, for just-in-time compilers. If it fails, so do the rounds, which report it.
    for (const { stand } of up) {
      await busCalls(stand.folder, stand.name, 64, 2 * ms).catch(() => undefined);
    }
    const results = await measureRounds(rounds, probes, up, async ({ calls }, { stand }) => [
      await busCalls(stand.folder, stand.name, calls, ms),
    ]);
    return metrics.map((metric) => results.series(metric));
  } finally {
    for (const { stand } of up) await stand.stop();
    await bus.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Of the rounds that did not fail. */
function formatRate({ values }: Series): string {
  const rates = values.filter((value) => value !== null);
  return rates.length === 0 ? 'failed' : formatNumber(median(rates));
}

function format({ title, unit }: Metric, all: readonly Series[]): string {
  const find = (key: string) => all.find(({ subject }) => subject === key);
  const against = [NONE, PROXY, PROXY_FILTERED];
  const lines = all.map((series) => {
    const ratios = against.map((key) => ratio(series, find(key), 'more')?.toFixed(2) ?? '-');
    return [
      series.title.padEnd(34),
      formatRate(series).padStart(8),
      ...ratios.map((r) => r.padStart(10)),
    ].join('');
  });
  const head = ['÷ none', '÷ proxy', '÷ filter'].map((text) => text.padStart(10)).join('');
  const aims = AIMS.map(([ours, other, least]) => {
    const value = ratio(find(ours), find(other), 'more');
    const met = value === null ? null : value >= least;
    return formatAim({ aim: `${ours} at least ${least} x ${other}`, value, met });
  });
  return [`\n${title} (${unit})`.padEnd(43) + head, ...lines, ...aims].join('\n');
}

async function main(options: Options): Promise<void> {
  compileLoad();
  const rounds = roundsOf(options, ROUNDS);
  const results = await run(rounds, options.quick ? 300 : 1000);
  for (const [place, metric] of metrics.entries())
    console.log(format(metric, results[place] ?? []));
  writeReport(options, { date: new Date().toISOString(), rounds, metrics, results });
}

await benchCommand('npm run bench -- dbus', ROUNDS)
  .description('Measures D-Bus calls through pv-xconnect beside none and xdg-dbus-proxy.')
  .action(main)
  .parseAsync();
