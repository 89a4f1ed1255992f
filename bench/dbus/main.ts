/**
 * `npm run bench -- dbus`: calls per second of one client to one service over a real dbus-daemon, directly, through ours
 * and through xdg-dbus-proxy, with twenty rules and without. Rounds are interleaved as in the folder above.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { busCalls, compileLoad } from '../load.js';
import type { Metric } from '../probes.js';
import { formatNumber, median, NONE, OURS, ratio, type Series } from '../report.js';
import { Task } from '../task.js';
import { startBus } from './bus.js';
import { type BusStand, OURS_FILTERED, PROXY, PROXY_FILTERED, subjects } from './subjects.js';

const UNDER_WAY = [1, 64];
/** Ours, as against whom, and how many times as many calls at least. */
const AIMS = [
  [OURS_FILTERED, PROXY_FILTERED, 1.2],
  [OURS, NONE, 0.6],
] as const;

const metrics = UNDER_WAY.map(
  (calls): Metric => ({
    key: `calls-${calls}`,
    title: `calls, ${calls} under way`,
    unit: 'calls/s',
    better: 'more',
  }),
);

/** The series of each metric. */
async function run(rounds: number, ms: number): Promise<Series[][]> {
  const here = subjects.filter(({ title, missing }) => {
    const reason = missing();
    if (reason !== undefined) console.log(`${title}: skipped, ${reason}.`);
    return reason === undefined;
  });
  const folder = mkdtempSync(join(tmpdir(), 'pvx-bench-'));
  chmodSync(folder, 0o755); // the daemon is not root
  const stands: BusStand[] = [];
  const values = new Map<string, number[]>();
  const bus = await startBus(folder);
  try {
    for (const subject of here) {
      stands.push(await subject.stand(mkdtempSync(join(folder, 'stand-')), bus));
    }
    // Not counted: what compiles as it runs has done so.
    for (const { folder: at, name } of stands) await busCalls(at, name, 64, 2 * ms);
    for (let round = 0; round < rounds; round++) {
      for (const [place, { key, title }] of metrics.entries()) {
        console.error(`round ${round + 1} of ${rounds}: ${title}`);
        for (let turn = 0; turn < stands.length; turn++) {
          const who = (turn + round) % stands.length;
          const { folder: at, name } = stands[who] as BusStand;
          const rate = await busCalls(at, name, UNDER_WAY[place] as number, ms);
          const series = `${key} ${here[who]?.key}`;
          values.set(series, [...(values.get(series) ?? []), rate]);
        }
      }
    }
  } finally {
    for (const stand of stands) await stand.stop();
    await bus.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  return metrics.map(({ key: metric }) =>
    here.map(({ key, title }) => ({
      subject: key,
      title,
      values: values.get(`${metric} ${key}`) ?? [],
    })),
  );
}

function format({ title, unit }: Metric, all: readonly Series[]): string {
  const find = (key: string) => all.find(({ subject }) => subject === key);
  const against = [NONE, PROXY, PROXY_FILTERED];
  const lines = all.map((series) => {
    const rate = formatNumber(median(series.values.filter((value) => value !== null)));
    const ratios = against.map((key) => ratio(series, find(key), 'more')?.toFixed(2) ?? '-');
    return [series.title.padEnd(34), rate.padStart(8), ...ratios.map((r) => r.padStart(10))].join(
      '',
    );
  });
  const head = ['÷ none', '÷ proxy', '÷ filter'].map((text) => text.padStart(10)).join('');
  const aims = AIMS.map(([ours, other, least]) => {
    const value = ratio(find(ours), find(other), 'more');
    const verdict = value === null ? 'not measured' : value >= least ? 'met' : 'MISSED';
    return `  ${verdict.padEnd(12)}  ${ours} at least ${least} x ${other}: ${value?.toFixed(2) ?? '-'}`;
  });
  return [`\n${title} (${unit})`.padEnd(43) + head, ...lines, ...aims].join('\n');
}

async function main(options: { quick?: true; rounds?: string; json?: string }): Promise<void> {
  compileLoad();
  const rounds = Number(options.rounds ?? (options.quick ? 2 : 9));
  const results = await run(rounds, options.quick ? 300 : 1000);
  for (const [place, metric] of metrics.entries())
    console.log(format(metric, results[place] ?? []));
  if (options.json !== undefined) {
    const report = { date: new Date().toISOString(), rounds, metrics, results };
    writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void Task.stopAll().then(() => process.exit(130));
  });
}

await new Command('npm run bench -- dbus')
  .description('Measures D-Bus calls through pv-xconnect beside none and xdg-dbus-proxy.')
  .option('--quick', 'two short rounds')
  .option('--rounds <n>', 'how many rounds (9)')
  .option('--json <file>', 'writes everything to a file too')
  .action(main)
  .parseAsync();
