/**
 * A town of containers on both engines, links of every kind between them with checked traffic, and bad luck: stops,
 * starts, kills of containers and of each process of the daemon, and changes of the revision, some of which fail. After
 * each of them every link has to be in its right state again, and at the end nothing more may be held than at the
 * beginning, and nothing be left when it is over.
 *
 * Here it takes some seconds. PVX_SOAK_MINUTES=30 has it walk for 30 minutes with 20 containers, and PVX_SOAK_SEED
 * another walk, which is the same for the same seed.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withDrivers } from '../../support/device-host.js';
import { has } from '../../support/requirements.js';
import { IoctlRecord, standInBroker } from '../../support/stand-ins.js';
import { eventually } from '../../support/wait.js';
import { hasEngine, RunningRevision } from '../engines/revision.js';
import { numbers } from '../supervision/support.js';
import { type Accounts, accountsOf, type Held, heldBy, onHost } from './accounts.js';
import { BRIDGE, townOf } from './town.js';
import { type Walk, Walker } from './walker.js';

const MINUTES = Number(process.env.PVX_SOAK_MINUTES ?? 0);
const IS_SOAK = MINUTES > 0;
const SEED = Number(process.env.PVX_SOAK_SEED ?? 20_261_129);
const CONTAINERS = IS_SOAK ? 20 : 4;
const STEPS = 6;
const LONG = { timeoutMs: 60_000, intervalMs: 200 };

const programs = ['dbus-daemon', 'ip', 'nft', 'python3', 'cc'];
const canRun = hasEngine('lxc') && programs.every(has);

describe.runIf(canRun)('a town of containers that has bad luck', () => {
  const record = new IoctlRecord();
  const town = townOf(CONTAINERS);
  const revision = new RunningRevision('lxc', () => town.containers, {
    device: town.device,
    prefix: [
      'env',
      ...Object.entries(record.env).map((one) => one.join('=')),
      ...withDrivers(standInBroker()),
    ],
  });
  const { runtime } = revision;
  let before: string;
  beforeAll(async () => {
    if (readdirSync('/sys/class/net').includes(BRIDGE)) execFileSync('ip', ['link', 'del', BRIDGE]);
    before = onHost(runtime);
    runtime.write({ quiet: 'please' }, join(runtime.folder, 'user-meta')); // until the first look is over
    await revision.start();
  }, 120_000);
  afterAll(async () => {
    await runtime.remove();
    record.remove();
  });

  test(
    'has every link in its right state each time, and holds no more than at the beginning',
    async () => {
      const walker = new Walker(runtime, town, numbers(SEED));
      try {
        await walker.settle();
        const first = await heldBy(runtime, town.names);
        await walker.quiet(false);
        const until = Date.now() + MINUTES * 60_000;
        while (IS_SOAK ? Date.now() < until : walker.walk.steps < STEPS) await walker.step();
        await walker.restore();
        // A short walk may be over before each service has had traffic, which is told every few seconds.
        await eventually(() => expectTraffic(accountsOf(runtime), town.services), LONG);
        await walker.quiet(true);
        // Clients of datagrams, and idle connections to servers of HTTP, are there for a minute more.
        await (IS_SOAK ? walker.idle() : walker.restartDaemon());
        const last = await heldBy(runtime, town.names, first);
        report(walker.walk, accountsOf(runtime), first, last);
        expect(accountsOf(runtime).all.faults).toEqual([]);
      } catch (error) {
        console.info(
          `${runtime.said}\nThe walk of the seed ${SEED}:\n${walker.walk.log.join('\n')}`,
        );
        throw error;
      }
      expect(await runtime.end()).toBe(0);
      expect(runtime.processes()).toEqual([]);
      expect(onHost(runtime)).toBe(before);
    },
    IS_SOAK ? (MINUTES + 20) * 60_000 : 300_000,
  );
});

/** Of each service, on connections that stay and on new ones. */
function expectTraffic({ services }: Accounts, wanted: readonly string[]): void {
  for (const service of wanted) {
    const { rounds } = services[service] ?? {};
    expect(rounds?.kept, `kept connections of ${service}`).toBeGreaterThan(0);
    expect(rounds?.new, `new connections of ${service}`).toBeGreaterThan(0);
  }
}

function report(walk: Walk, accounts: Accounts, first: Held, last: Held): void {
  if (!IS_SOAK) return;
  const { log: _log, ...figures } = walk;
  console.info(JSON.stringify({ ...figures, ...accounts, first, last }, null, 1));
}
