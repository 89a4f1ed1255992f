/** unix links between containers of the engines that people have: LXC, with and without users of its own, and Docker. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDaemon, type TestDaemon } from '../../support/daemon.js';
import { DockerEngine } from '../../support/engines/docker.js';
import { engines, startIn } from '../../support/engines/engines.js';
import { type EngineContainer, Image } from '../../support/engines/image.js';
import { wireLink } from '../../support/link.js';

const SOCKET = '/run/example/raw.sock';
const TARGET = '/run/pv/services/raw.sock';
const SERVE = ['serve', SOCKET];
const WAIT = ['wait'];

describe.runIf(engines())('a unix link between containers of real engines', () => {
  let image: Image;
  let docker: DockerEngine;
  let daemon: TestDaemon;

  beforeAll(async () => {
    image = new Image();
    docker = new DockerEngine();
    await docker.start();
    docker.import(image);
    daemon = await startDaemon();
  }, 60_000);
  afterAll(async () => {
    await daemon?.stop();
    await docker?.stop();
    image?.remove();
  }, 60_000);

  async function link(consumer: EngineContainer, provider: EngineContainer, role = 'any') {
    const pids = { consumer_pid: consumer.pid, provider_pid: provider.pid };
    daemon.set(wireLink({ ...pids, target: TARGET, socket: SOCKET, role }));
    await daemon.until({ raw: 'established' });
  }

  test.each([
    ['LXC', 'Docker'],
    ['Docker', 'LXC'],
    ['Docker', 'LXC with users of its own'],
    ['LXC with users of its own', 'Docker'],
  ] as const)(
    'from %s to %s carries the role, and survives a restart of either',
    async (from, to) => {
      const provider = await startIn(to, 'provider', SERVE, { image, docker });
      const consumer = await startIn(from, 'consumer', WAIT, { image, docker });
      try {
        await link(consumer, provider, '1234');
        const ask = async (text: string) =>
          (await consumer.peer('ask', TARGET, text)).stdout.trim();
        expect(await ask('hello')).toBe('1234 1234 hello');
        await consumer.restart();
        await link(consumer, provider);
        expect(await ask('again')).toBe('0 0 again');
        await provider.restart();
        await link(consumer, provider);
        expect(await ask('once more')).toBe('0 0 once more');
      } finally {
        daemon.set();
        await consumer.kill();
        await provider.kill();
      }
    },
    60_000,
  );
});
