/** unix links between containers of the engines that people have: LXC, with and without users of its own, and Docker. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startDaemon, type TestDaemon } from '../../support/daemon.js';
import { engines, useEngines } from '../../support/engines/engines.js';
import type { EngineContainer } from '../../support/engines/image.js';
import { wireLink } from '../../support/link.js';

const SOCKET = '/run/example/raw.sock';
const TARGET = '/run/pv/services/raw.sock';
const SERVE = ['serve', SOCKET];
const WAIT = ['wait'];

describe.runIf(engines())('a unix link between containers of real engines', () => {
  const containers = useEngines();
  let daemon: TestDaemon;
  beforeAll(async () => {
    daemon = await startDaemon();
  });
  afterEach(async () => {
    daemon.set();
    await containers.clear();
  }, 60_000);
  afterAll(() => daemon?.stop());

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
      const provider = await containers.run(to, 'provider', SERVE);
      const consumer = await containers.run(from, 'consumer', WAIT);
      await link(consumer, provider, '1234');
      const ask = async (text: string) => (await consumer.peer('ask', TARGET, text)).stdout.trim();
      expect(await ask('hello')).toBe('1234 1234 hello');
      await consumer.restart();
      await link(consumer, provider);
      expect(await ask('again')).toBe('0 0 again');
      await provider.restart();
      await link(consumer, provider);
      expect(await ask('once more')).toBe('0 0 once more');
    },
    60_000,
  );
});
