/** Clients that end with their connection, Wayland's and many of D-Bus, while daemons come and go. */
import { describe, expect, test } from 'vitest';
import { usePair } from '../../support/container-pair.js';
import { endBy, hasEnded } from '../../support/processes.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { TARGET, useBusPair, WHO } from '../dbus/support.js';
import { hasWeston, WestonPair } from '../wayland/weston.js';
import { killDaemon } from './support.js';

const KILLS = 10;

describe.runIf(isRoot() && hasWeston())('a real client of a real compositor', () => {
  const pair = usePair(new WestonPair());

  test('goes on drawing through ten killed daemons', async () => {
    const draw = 'export XDG_RUNTIME_DIR=/run; exec weston-simple-shm';
    const client = pair.run(pair.consumer, ['sh', '-c', draw]);
    await pair.daemon.untilActive(1);
    for (let kill = 0; kill < KILLS; kill++) {
      await killDaemon(pair.daemon, ['display']);
      const before = await pair.screenshot();
      await eventually(async () => expect((await pair.screenshot()).equals(before)).toBe(false));
      expect(hasEnded(client)).toBe(false);
    }
    const [shown] = await pair.daemon.shown();
    expect(shown?.connections.active).toBe(1);
    await endBy(client);
    await pair.daemon.untilActive(0);
  }, 120_000);
});

describe.runIf(isRoot() && has('dbus-daemon') && has('gdbus'))(
  'a program of a bus that waits for signals',
  () => {
    const pair = useBusPair('--patience', '5');

    test('is told of each through ten killed daemons', async () => {
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
      for (let kill = 0; kill < KILLS; kill++) {
        await eventually(() => expect(said).toContain('is owned by'));
        await killDaemon(pair.daemon, ['bus']);
        service.send(dbus.Message.newSignal('/', WHO, `After${kill}`, '', []));
        await eventually(() => expect(said).toContain(`After${kill}`));
      }
      expect(hasEnded(monitor)).toBe(false);
      expect(said.match(/is owned by/g)).toHaveLength(1);
    }, 60_000);
  },
);
