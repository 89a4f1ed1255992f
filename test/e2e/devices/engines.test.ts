/** Devices between containers of the engines that people have: LXC, with and without users of its own, and Docker. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestDaemon } from '../../support/daemon.js';
import { onDeviceHost } from '../../support/device-host.js';
import { DockerEngine } from '../../support/engines/docker.js';
import { type EngineName, engines, startIn } from '../../support/engines/engines.js';
import { type EngineContainer, Image } from '../../support/engines/image.js';
import { type WireLink, wireLink } from '../../support/link.js';
import { IoctlRecord, standInBroker } from '../../support/stand-ins.js';

const CARD = '/dev/dri/card0';
/** What stands in for a renderer. */
const TUN = '/dev/dri/renderD200';

describe.runIf(engines())('a device of a container of a real engine', () => {
  const record = new IoctlRecord();
  const containers: EngineContainer[] = [];
  let image: Image;
  let docker: DockerEngine;
  let daemon: TestDaemon;

  beforeAll(async () => {
    image = new Image();
    docker = new DockerEngine();
    await docker.start();
    docker.import(image);
    const prefix = onDeviceHost(standInBroker());
    daemon = new TestDaemon(['--drain', '0'], { prefix, env: record.env });
    await daemon.launch();
  }, 60_000);
  afterAll(async () => {
    await daemon?.stop();
    for (const container of containers) await container.kill();
    await docker?.stop();
    image?.remove();
    record.remove();
  }, 60_000);

  async function run(engine: EngineName, name: string): Promise<EngineContainer> {
    const container = await startIn(engine, name, ['wait'], { image, docker });
    containers.push(container);
    return container;
  }

  test.each([
    ['Docker', 'LXC'],
    ['LXC', 'Docker'],
    ['Docker', 'LXC with users of its own'],
  ] as const)(
    'of %s appears in %s, as a node and opened, and goes again',
    async (from, to) => {
      const provider = await run(from, 'provider');
      const consumer = await run(to, 'consumer');
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
      daemon.set();
      await daemon.until({});
      for (const path of [CARD, '/run/example/gpu']) {
        expect(await peer('look', path)).toBe('No such file or directory');
      }
    },
    60_000,
  );
});
