/** Connections that wait for a provider that is away, or whose identity takes long to look up. */
import { describe, expect, test } from 'vitest';
import { mountSlow } from '../../support/file-systems.js';
import { ask, dial, startEcho } from '../../support/peers.js';
import { fuse } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { usePluginStand } from './support.js';

describe('connections with a role to look up', () => {
  const at = usePluginStand({ patienceMs: 3_000, link: { role: 'daemon' } });

  test('are forgotten once they have waited in vain', async () => {
    const link = at.link();
    const attached = await at.attach(at.link({ providerPid: 0 }));
    const inside = await at.handleOf(at.consumer);
    const clients = [];
    for (let i = 0; i < 50; i++) clients.push(await dial(at.host.broker, inside, link.target));
    await eventually(() => expect(attached.stats().closes['no-provider']).toBe(50), {
      timeoutMs: 8_000,
    });
    for (const client of clients) client.destroy();
    let looked = 0;
    const { broker } = at.host;
    const read = broker.read.bind(broker);
    broker.read = (container, path) => {
      looked++;
      return read(container, path);
    };
    at.closing(await startEcho(broker, await at.handleOf(at.provider), link.socket));
    await attached.retarget(link, 0);
    expect(await ask(await dial(broker, inside, link.target), 'late')).toBe('late');
    expect(looked).toBeLessThanOrEqual(2); // the look at the provider, and the one that came
    broker.read = read;
  });

  test.runIf(fuse())('are not refused because the provider’s file system is slow', async () => {
    const { socket, target } = at.link();
    await at.attach();
    const [inside, there] = [await at.handleOf(at.consumer), await at.handleOf(at.provider)];
    at.closing(await startEcho(at.host.broker, there, socket));
    await mountSlow(at.provider, '/etc', 0.3);
    const answers = Array.from({ length: 8 }, async () =>
      ask(await dial(at.host.broker, inside, target), 'x'),
    );
    expect(await Promise.all(answers)).toEqual(answers.map(() => 'x'));
  });
});
