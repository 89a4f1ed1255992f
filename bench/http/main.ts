/**
 * `npm run bench -- http`: ours beside nginx, HAProxy, Caddy and http-proxy-3, in one run. Every subject has the same far
 * end behind it and adds the same two headers.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkAims, formatAims } from '../aims.js';
import { benchCommand, type Options, presentOf, roundsOf, writeReport } from '../command.js';
import { compileLoad, requests, serveHttp } from '../load.js';
import { formatTable, tableOf } from '../report.js';
import { measureRounds } from '../rounds.js';
import { HTTP_AIMS } from './aims.js';
import { ours } from './ours.js';
import { httpProbes } from './probes.js';
import { competitors, type HttpStand, none } from './subjects.js';

interface HttpOptions extends Options {
  readonly only?: string;
}

const ROUNDS = 7;
const GIB = 1024 * 1024 * 1024;

/** A subject that is up. */
interface Up {
  readonly key: string;
  readonly title: string;
  readonly stand: HttpStand;
  readonly folder: string;
}

async function untilItAnswers({ rest }: HttpStand): Promise<void> {
  if (!rest || 'port' in rest) return;
  for (let tries = 0; ; tries++) {
    try {
      await requests(dirname(rest.socket), basename(rest.socket), 1, 100);
      return;
    } catch (error) {
      if (tries > 50) throw error;
      await sleep(100);
    }
  }
}

async function main(options: HttpOptions): Promise<void> {
  const rounds = roundsOf(options, ROUNDS);
  const ms = options.quick ? 500 : 1000;
  compileLoad();
  const { present } = presentOf([none, ours, ...competitors]);
  const probes = httpProbes(options.quick ? GIB / 4 : GIB).filter(
    ({ key, metrics }) => !options.only || key === options.only || metrics[0]?.key === options.only,
  );
  const container = await ours.back();
  const far = await serveHttp(container.back, 'b0');
  const up: Up[] = [];
  try {
    for (const { key, title, stand: start } of present) {
      const folder = mkdtempSync(join(tmpdir(), 'pvx-bench-'));
      const stand = await start(folder, join(container.back, 'b0'));
      up.push({ key, title, stand, folder });
      await untilItAnswers(stand);
    }
    const results = await measureRounds(rounds, probes, up, (probe, { stand, folder }) =>
      probe.measure(stand, ms, folder),
    );
    const tables = probes
      .flatMap(({ metrics }) => metrics)
      .map((metric) => tableOf(metric, results.series(metric)));
    for (const table of tables) console.log(`\n${formatTable(table)}`);
    console.log(`\n${formatAims(checkAims(tables, HTTP_AIMS))}`);
    writeReport(options, { rounds, tables });
  } finally {
    for (const { stand, folder } of up) {
      await stand.stop();
      rmSync(folder, { recursive: true, force: true });
    }
    await far.stop();
    await container.stop();
  }
}

await benchCommand('npm run bench -- http', ROUNDS, 'two short rounds, bodies of 256 MiB')
  .description('Measures rest and http links beside nginx, HAProxy, Caddy and http-proxy-3.')
  .option('--only <probe>', 'requests, bodies, or a metric such as rest-32')
  .action(main)
  .parseAsync();
