/** Connections that wait for a provider that is away, or slow to say who they are. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AttachedLink } from '../../../src/mesh/attacher.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { startHost, type TestHost } from '../../support/host.js';
import { unixLink } from '../../support/link.js';
import { ask, dial, startEcho } from '../../support/peers.js';
import { fuse } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

const SLOW_FS = readFileSync(new URL('../../support/slow-fs.py', import.meta.url), 'utf8');
const LISTENER = { onState: () => undefined, onLost: () => undefined };

describe('connections with a role to look up', () => {
  let host: TestHost;
  let consumer: TestContainer;
  let provider: TestContainer;
  beforeAll(async () => {
    host = await startHost({ patienceMs: 3_000 });
    consumer = await startContainer({ name: 'consumer' });
    provider = await startContainer({ name: 'provider' });
  });
  afterAll(async () => {
    await host?.stop();
    await consumer?.kill();
    await provider?.kill();
  });

  const attach = (providerPid: number): Promise<AttachedLink> => {
    const link = unixLink({ consumerPid: consumer.pid, providerPid, role: 'daemon' });
    return host.attacher.attach(link, 0, LISTENER);
  };

  async function handleOf(container: TestContainer): Promise<number> {
    const held = await host.containers.retain(container.name, container.pid, 0);
    if (held instanceof Error) throw held;
    return held.handle;
  }

  test('are forgotten once they have waited in vain', async () => {
    const link = unixLink({ consumerPid: consumer.pid, role: 'daemon' });
    const attached = await attach(0);
    const inside = await handleOf(consumer);
    const clients = [];
    for (let i = 0; i < 50; i++) clients.push(await dial(host.broker, inside, link.target));
    await eventually(() => expect(attached.stats().closes['no-provider']).toBe(50), {
      timeoutMs: 8_000,
    });
    for (const client of clients) client.destroy();
    let looked = 0;
    const { broker } = host;
    const read = broker.read.bind(broker);
    broker.read = (container, path) => {
      looked++;
      return read(container, path);
    };
    const echo = await startEcho(broker, await handleOf(provider), link.socket);
    await attached.retarget({ ...link, providerPid: provider.pid }, 0);
    expect(await ask(await dial(broker, inside, link.target), 'late')).toBe('late');
    expect(looked).toBe(1);
    broker.read = read;
    await echo.close();
    await attached.detach(0).done;
  });

  test.runIf(fuse())('are not refused because the provider’s file system is slow', async () => {
    const attached = await attach(provider.pid);
    const [inside, there] = [await handleOf(consumer), await handleOf(provider)];
    const echo = await startEcho(host.broker, there, unixLink().socket);
    const server = provider.run(['python3', '-c', SLOW_FS, '/etc', '0.3']);
    await new Promise((resolve) => server.stdout?.once('data', resolve));
    const answers = Array.from({ length: 8 }, async () =>
      ask(await dial(host.broker, inside, unixLink().target), 'x'),
    );
    expect(await Promise.all(answers)).toEqual(answers.map(() => 'x'));
    await echo.close();
    await attached.detach(0).done;
  });
});
