/** `npm run bench`: ours beside what a user would pick instead, in one run. */
import { cpus, release } from 'node:os';
import { InvalidArgumentError } from 'commander';
import { AIMS, checkAims, formatAims, TCP_AIMS } from './aims.js';
import { benchCommand, type Options, presentOf, roundsOf, writeReport } from './command.js';
import { competitors } from './competitors.js';
import { compileLoad } from './load.js';
import { oursSubjects } from './ours.js';
import { probes } from './probes.js';
import { formatTable, LEGEND, tableOf } from './report.js';
import { measureRounds } from './rounds.js';
import { Stands } from './stands.js';
import { TCP_PROBES, tcpSubjects } from './tcp.js';

interface MainOptions extends Options {
  readonly only?: string[];
  readonly tcp?: true;
}

const ROUNDS = 9;
const KEYS = [...new Set(probes.map((probe) => probe.key))];

function parseOnly(text: string): string[] {
  const keys = text.split(',');
  const unknown = keys.find((key) => !KEYS.includes(key));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`${unknown} is none of ${KEYS.join(', ')}.`);
  return keys;
}

async function main(options: MainOptions): Promise<void> {
  const rounds = roundsOf(options, ROUNDS);
  const ms = options.quick ? 250 : 500;
  const only = options.only ?? (options.tcp ? TCP_PROBES : KEYS);
  const chosen = probes.filter(({ key }) => only.includes(key));

  compileLoad();
  const all = options.tcp ? tcpSubjects : [...oursSubjects, ...competitors];
  const { present, skipped } = presentOf(all);
  const stands = new Stands();
  const results = await measureRounds(rounds, chosen, present, (probe, subject) =>
    probe.measure(subject, stands, ms),
  ).finally(() => stands.stop());
  const tables = chosen
    .flatMap(({ metrics }) => metrics)
    .map((metric) => tableOf(metric, results.series(metric)));
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
  const date = new Date().toISOString();
  writeReport(options, { date, machine, rounds, skipped, tables, aims });
}

await benchCommand('npm run bench --', ROUNDS)
  .description('Measures pv-xconnect beside no proxy, socat, systemd-socket-proxyd and HAProxy.')
  .option('--tcp', 'of tcp links; else of unix links')
  .option('--only <probes>', `some of ${KEYS.join(',')}`, parseOnly)
  .action(main)
  .parseAsync();
