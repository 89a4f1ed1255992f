/** Clients that end with their connection, Wayland's and many of D-Bus, while daemons die and versions come and go. */
import { describe, expect, test } from 'vitest';
import { usePair } from '../../support/container-pair.js';
import type { TestDaemon } from '../../support/daemon.js';
import { endBy, hasEnded } from '../../support/processes.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { BusPair, TARGET, WHO } from '../dbus/support.js';
import { hasWeston, WestonPair } from '../wayland/weston.js';
import { alone, killDaemon, leftAlone, upgrade, useBuilds } from './support.js';

const KILLS = 10;
/** Each of them is followed by an upgrade. */
const UPGRADES = [1, 4, 7];

const builds = useBuilds();
const daemon = { program: builds.program };

/** Ten killed daemons and three upgrades; after each of those, `check`. */
async function replaceAgainAndAgain(
  to: TestDaemon,
  link: string,
  check: (step: string) => Promise<void>,
): Promise<void> {
  for (let kill = 0; kill < KILLS; kill++) {
    await killDaemon(to, [link]);
    await check(`Kill${kill}`);
    if (!UPGRADES.includes(kill)) continue;
    await upgrade(builds, to);
    await to.until({ [link]: 'established' });
    await check(`Upgrade${kill}`);
    await leftAlone(to);
  }
}

describe.runIf(isRoot() && hasWeston())('a real client of a real compositor', () => {
  const pair = usePair(new WestonPair(daemon));

  test('goes on drawing through ten killed daemons and three upgrades', async () => {
    const draw = 'export XDG_RUNTIME_DIR=/run; exec weston-simple-shm';
    const client = pair.run(pair.consumer, ['sh', '-c', draw]);
    await pair.daemon.untilActive(1);
    await replaceAgainAndAgain(pair.daemon, 'display', async () => {
      const before = await pair.screenshot();
      await eventually(async () => expect((await pair.screenshot()).equals(before)).toBe(false));
      expect(hasEnded(client)).toBe(false);
    });
    await endBy(client);
    await alone(pair.daemon);
  }, 120_000);
});

describe.runIf(isRoot() && has('dbus-daemon') && has('gdbus'))(
  'a program of a bus that waits for signals',
  () => {
    const pair = usePair(new BusPair(['--patience', '5'], daemon));

    test('is told of each through ten killed daemons and three upgrades', async () => {
      await pair.establish();
      const service = await pair.serve(WHO);
      const monitor = pair.run(pair.consumer, [
        ...['gdbus', 'monitor', '--address', `unix:path=${TARGET}`, '--dest', WHO],
      ]);
      let said = '';
      monitor.stdout?.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
      const { default: dbus } = await import('dbus-next');
      await eventually(() => expect(said).toContain('is owned by'));
      await replaceAgainAndAgain(pair.daemon, 'bus', async (step) => {
        service.send(dbus.Message.newSignal('/', WHO, step, '', []));
        await eventually(() => expect(said).toContain(step));
      });
      expect(hasEnded(monitor)).toBe(false);
      expect(said.match(/is owned by/g)).toHaveLength(1);
      await endBy(monitor);
      await alone(pair.daemon);
    }, 120_000);
  },
);
