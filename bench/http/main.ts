/**
 * `npm run bench -- http`: ours beside nginx, HAProxy, Caddy and http-proxy-3, in one run. Every subject has the same far
 * end behind it and adds the same two headers. Rounds are interleaved as in main.ts of the folder above.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { compileLoad, requests, serveHttp } from '../load.js';
import { formatTable, type Series, tableOf } from '../report.js';
import { Task } from '../task.js';
import { checkHttpAims } from './aims.js';
import { ours } from './ours.js';
import { httpProbes } from './probes.js';
import { competitors, type HttpStand, type HttpSubject, none } from './subjects.js';

interface Options {
  readonly quick?: true;
  readonly rounds?: string;
  readonly only?: string;
  readonly json?: string;
}

const GIB = 1024 * 1024 * 1024;

interface Up {
  readonly subject: HttpSubject;
  readonly stand: HttpStand;
  readonly folder: string;
}

async function untilItAnswers({ rest }: HttpStand): Promise<void> {
  if (!rest || 'port' in rest) return;
  for (let tries = 0; ; tries++) {
    try {
      const [dir, name] = [rest.socket.replace(/\/[^/]*$/, ''), rest.socket.replace(/.*\//, '')];
      await requests(dir, name, 1, 100);
      return;
    } catch (error) {
      if (tries > 50) throw error;
      await sleep(100);
    }
  }
}

async function main(options: Options): Promise<void> {
  const rounds = Number(options.rounds ?? (options.quick ? 2 : 7));
  const ms = options.quick ? 500 : 1000;
  compileLoad();
  const subjects = [none, ours, ...competitors].filter((subject) => {
    const reason = subject.missing();
    if (reason !== undefined) console.log(`${subject.title}: skipped, ${reason}.`);
    return reason === undefined;
  });
  const probes = httpProbes(options.quick ? GIB / 4 : GIB).filter(
    ({ key, metrics }) => !options.only || key === options.only || metrics[0]?.key === options.only,
  );
  const container = await ours.back();
  const far = await serveHttp(container.back, 'b0');
  const up: Up[] = [];
  const values = new Map<string, (number | null)[]>();
  try {
    for (const subject of subjects) {
      const folder = mkdtempSync(join(tmpdir(), 'pvx-bench-'));
      const stand = await subject.stand(folder, join(container.back, 'b0'));
      up.push({ subject, stand, folder });
      await untilItAnswers(stand);
    }
    for (let round = 0; round < rounds; round++) {
      const order = [...up.slice(round % up.length), ...up.slice(0, round % up.length)];
      for (const probe of probes) {
        console.error(`round ${round + 1} of ${rounds}: ${probe.metrics[0]?.title}`);
        for (const { subject, stand, folder } of order) {
          const found = await probe.measure(stand, ms, folder).catch((error: Error) => {
            console.error(`  ${subject.title}: failed: ${error.message}`);
            return probe.metrics.map(() => null);
          });
          for (const [i, { key }] of probe.metrics.entries()) {
            const name = `${key} ${subject.key}`;
            values.set(name, [...(values.get(name) ?? []), found[i] ?? null]);
          }
        }
      }
    }
  } finally {
    for (const { stand, folder } of up) {
      await stand.stop();
      rmSync(folder, { recursive: true, force: true });
    }
    await far.stop();
    await container.stop();
  }
  const tables = probes
    .flatMap(({ metrics }) => metrics)
    .map((metric) => {
      const series = subjects.map(({ key, title }): Series => {
        return { subject: key, title, values: values.get(`${metric.key} ${key}`) ?? [] };
      });
      return tableOf(metric, series);
    });
  for (const table of tables) console.log(`\n${formatTable(table)}`);
  console.log(`\n${checkHttpAims(tables)}`);
  if (options.json) writeFileSync(options.json, `${JSON.stringify({ rounds, tables }, null, 2)}\n`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void Task.stopAll().then(() => process.exit(130)));
}

await new Command('npm run bench -- http')
  .description('Measures rest and http links beside nginx, HAProxy, Caddy and http-proxy-3.')
  .option('--quick', 'two short rounds, bodies of 256 MiB')
  .option('--rounds <n>', 'how many rounds (7)')
  .option('--only <probe>', 'requests, bodies, or a metric such as rest-32')
  .option('--json <file>', 'writes the tables to a file too')
  .action(main)
  .parseAsync();
