/** Devices between containers of the engines that people have: LXC, with and without users of its own, and Docker. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestDaemon } from '../../support/daemon.js';
import { engines, useEngines } from '../../support/engines/engines.js';
import { type WireLink, wireLink } from '../../support/link.js';
import { IoctlRecord } from '../../support/stand-ins.js';
import { deviceDaemon } from './support.js';

const CARD = '/dev/dri/card0';
/** What stands in for a renderer. */
const TUN = '/dev/dri/renderD200';

describe.runIf(engines())('a device of a container of a real engine', () => {
  const record = new IoctlRecord();
  const containers = useEngines();
  let daemon: TestDaemon;

  beforeAll(async () => {
    daemon = deviceDaemon(['--drain', '0'], record);
    await daemon.launch();
  }, 60_000);
  afterAll(async () => {
    await daemon?.stop();
    record.remove();
  });

  test.each([
    ['Docker', 'LXC'],
    ['LXC', 'Docker'],
    ['Docker', 'LXC with users of its own'],
  ] as const)(
    'of %s appears in %s, as a node and opened, and goes again',
    async (from, to) => {
      const provider = await containers.run(from, 'provider', ['wait']);
      const consumer = await containers.run(to, 'consumer', ['wait']);
      const peer = async (...args: string[]) => (await consumer.peer(...args)).stdout.trim();
      const link = (fields: Partial<WireLink>) => {
        const pids = { consumer_pid: consumer.pid, provider_pid: provider.pid };
        return wireLink({ ...pids, type: 'drm', interface: 'drm', ...fields });
      };
      const nodes = [
        [CARD, '226', '0'],
        [TUN, '10', '200'],
      ];
      for (const node of nodes) {
        expect(await provider.peer('make', ...node)).toMatchObject({ code: 0 });
      }
      daemon.set(
        link({ name: 'card', socket: CARD, target: CARD }),
        link({ name: 'opened', socket: TUN, target: '/run/example/gpu', device: 'fd' }),
      );
      await daemon.until({ card: 'established', opened: 'established' });
      const opening = to === 'Docker' ? 'Operation not permitted' : 'No such device or address';
      expect(await peer('look', CARD)).toBe(`226:0 660 0:0 ${opening}`);
      expect(await peer('take', '/run/example/gpu')).toBe('10:200'); // whatever its device cgroup says
      await daemon.clear();
      for (const path of [CARD, '/run/example/gpu']) {
        expect(await peer('look', path)).toBe('No such file or directory');
      }
    },
    60_000,
  );
});
