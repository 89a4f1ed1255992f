/** How many connections one link may have, where they are the plugin's: as many as where they are the relay's. */
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { XConnectError } from '../../../src/kernel/errors.js';
import type { Plugin } from '../../../src/plugins/plugin.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { startHost, type TestHost } from '../../support/host.js';
import { unixLink } from '../../support/link.js';
import { ask, dial, startEcho } from '../../support/peers.js';
import { eventually } from '../../support/wait.js';

const LISTENER = { onState: () => undefined, onLost: () => undefined };
const MOST = 3;

const joining: Plugin = {
  types: ['joining'],
  attach: (_link, host) =>
    host.listen(async (client) => {
      const made = await host.connect();
      if ('code' in made) client.close();
      else host.join(client, made, {});
    }),
};

describe('a link whose connections are its plugin’s', () => {
  let host: TestHost;
  let consumer: TestContainer;
  let provider: TestContainer;
  beforeAll(async () => {
    host = await startHost({ maxConnections: MOST });
    host.plugins.add(joining);
    consumer = await startContainer({ name: 'consumer' });
    provider = await startContainer({ name: 'provider' });
  });
  afterAll(async () => {
    await host?.stop();
    await consumer?.kill();
    await provider?.kill();
  });

  async function handleOf(container: TestContainer): Promise<number> {
    const held = await host.containers.retain(container.name, container.pid, 0);
    if (held instanceof XConnectError) throw held;
    return held.handle;
  }

  test.each(['dbus', 'joining'])(
    'has no more than a link may have, and goes on when one has left: %s',
    async (type) => {
      const link = unixLink({ type, consumerPid: consumer.pid, providerPid: provider.pid });
      const inside = await handleOf(consumer);
      const echo = await startEcho(host.broker, await handleOf(provider), link.socket);
      const attached = await host.attacher.attach(link, 0, LISTENER);
      const clients: Socket[] = [];
      let closed = 0;
      for (let i = 0; i < MOST + 2; i++) {
        const client = await dial(host.broker, inside, link.target);
        client.on('end', () => closed++).resume();
        clients.push(client);
        await eventually(() => expect(attached.stats().active + closed).toBe(i + 1));
      }
      expect([attached.stats().active, closed]).toEqual([MOST, 2]);
      expect(attached.stats().closes['too-many']).toBe(2);
      clients[0]?.destroy();
      if (type === 'joining') {
        await eventually(() => expect(attached.stats().active).toBe(MOST - 1));
        expect(await ask(await dial(host.broker, inside, link.target), 'x')).toBe('x');
      }
      for (const client of clients) client.destroy();
      await attached.detach(0).done;
      await echo.close();
    },
  );
});
