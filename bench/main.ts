/**
 * `npm run bench`: ours beside what a user would pick instead, in one run.
 *
 * Rounds are interleaved: each probe goes through all subjects, one right after the other, before the next
 * probe; the first one changes every round.
 */
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { AIMS, checkAims, formatAims, TCP_AIMS } from './aims.js';
import { competitors } from './competitors.js';
import { compileLoad } from './load.js';
import { oursSubjects } from './ours.js';
import { type Probe, probes } from './probes.js';
import { formatTable, LEGEND, type Series, tableOf } from './report.js';
import { Stands } from './stands.js';
import type { Subject } from './subject.js';
import { Task } from './task.js';
import { TCP_PROBES, tcpSubjects } from './tcp.js';

interface Options {
  readonly quick?: true;
  readonly rounds?: number;
  readonly only?: string[];
  readonly json?: string;
  readonly tcp?: true;
}

const KEYS = [...new Set(probes.map((probe) => probe.key))];

function parseOnly(text: string): string[] {
  const keys = text.split(',');
  const unknown = keys.find((key) => !KEYS.includes(key));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`${unknown} is none of ${KEYS.join(', ')}.`);
  return keys;
}

function parseRounds(text: string): number {
  const rounds = Number(text);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000)
    throw new InvalidArgumentError('A number from 1 to 1000 is expected.');
  return rounds;
}

/** The values by metric and subject, each with one entry a round. */
class Results {
  readonly #values = new Map<string, (number | null)[]>();

  add(metric: string, subject: Subject, value: number | null): void {
    const key = `${metric} ${subject.key}`;
    const values = this.#values.get(key);
    if (values) values.push(value);
    else this.#values.set(key, [value]);
  }

  series(metric: string, subjects: readonly Subject[]): Series[] {
    return subjects.map(({ key, title }) => ({
      subject: key,
      title,
      values: this.#values.get(`${metric} ${key}`) ?? [],
    }));
  }
}

async function run(
  chosen: readonly Probe[],
  subjects: readonly Subject[],
  rounds: number,
  ms: number,
): Promise<Results> {
  const stands = new Stands();
  const results = new Results();

  try {
    for (let round = 0; round < rounds; round++) {
      const first = round % subjects.length;
      const order = [...subjects.slice(first), ...subjects.slice(0, first)];
      for (const probe of chosen) {
        console.error(`round ${round + 1} of ${rounds}: ${probe.metrics[0]?.title}`);
        for (const subject of order) {
          const values = await probe.measure(subject, stands, ms).catch((error: Error) => {
            console.error(`  ${subject.title}: failed: ${error.message}`);
            return probe.metrics.map(() => null);
          });
          probe.metrics.forEach((metric, i) => {
            results.add(metric.key, subject, values[i] ?? null);
          });
        }
      }
    }
  } finally {
    await stands.stop();
  }
  return results;
}

async function main(options: Options): Promise<void> {
  const rounds = options.rounds ?? (options.quick ? 2 : 9);
  const only = options.only ?? (options.tcp ? TCP_PROBES : KEYS);
  const chosen = probes.filter(({ key }) => only.includes(key));
  const skipped: { title: string; reason: string }[] = [];
  const all = options.tcp ? tcpSubjects : [...oursSubjects, ...competitors];
  const subjects = all.filter((subject) => {
    const reason = subject.missing();
    if (reason === undefined) return true;
    skipped.push({ title: subject.title, reason });
    return false;
  });

  compileLoad();
  for (const { title, reason } of skipped) console.log(`${title}: skipped, ${reason}.`);
  const results = await run(chosen, subjects, rounds, options.quick ? 250 : 500);
  const tables = chosen
    .flatMap(({ metrics }) => metrics)
    .map((metric) => tableOf(metric, results.series(metric.key, subjects)));
  const aims = checkAims(tables, options.tcp ? TCP_AIMS : AIMS);
  const machine = {
    kernel: release(),
    cpus: cpus().map(({ model }) => model),
    node: process.version,
  };

  console.log(
    `Linux ${machine.kernel}, ${machine.cpus.length} x ${machine.cpus[0] ?? 'unknown CPU'}`,
  );
  console.log(LEGEND);
  for (const table of tables) console.log(`\n${formatTable(table)}`);
  console.log(`\n${formatAims(aims)}`);
  if (options.json !== undefined) {
    const report = { date: new Date().toISOString(), machine, rounds, skipped, tables, aims };
    writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void Task.stopAll().then(() => process.exit(130));
  });
}

await new Command('npm run bench --')
  .description('Measures pv-xconnect beside no proxy, socat, systemd-socket-proxyd and HAProxy.')
  .option('--tcp', 'of tcp links; else of unix links')
  .option('--quick', 'two short rounds')
  .option('--rounds <n>', 'how many rounds (9)', parseRounds)
  .option('--only <probes>', `some of ${KEYS.join(',')}`, parseOnly)
  .option('--json <file>', 'writes everything to a file too')
  .action(main)
  .parseAsync();
