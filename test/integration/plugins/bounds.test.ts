/** How many connections one link may have, where they are the plugin's: as many as where they are the relay's. */
import type { Socket } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Plugin } from '../../../src/plugins/plugin.js';
import { ask, dial, startEcho } from '../../support/peers.js';
import { eventually } from '../../support/wait.js';
import { usePluginStand } from './support.js';

const MOST = 3;

const joining: Plugin = {
  types: ['joining'],
  attach: (_link, host) =>
    host.listen(async (client) => {
      const made = await host.connect();
      if (made.ok) host.join(client, made.value, {});
      else client.close();
    }),
};

describe('a link whose connections are its plugin’s', () => {
  const at = usePluginStand({ maxConnections: MOST });
  beforeAll(() => at.host.plugins.add(joining));

  test.each(['dbus', 'joining'])(
    'has no more than a link may have, and goes on when one has left: %s',
    async (type) => {
      const link = at.link({ type });
      const inside = await at.handleOf(at.consumer);
      at.closing(await startEcho(at.host.broker, await at.handleOf(at.provider), link.socket));
      const attached = await at.attach(link);
      const clients: Socket[] = [];
      let closed = 0;
      for (let i = 0; i < MOST + 2; i++) {
        const client = await dial(at.host.broker, inside, link.target);
        client.on('end', () => closed++).resume();
        clients.push(client);
        await eventually(() => expect(attached.stats().active + closed).toBe(i + 1));
      }
      expect([attached.stats().active, closed]).toEqual([MOST, 2]);
      expect(attached.stats().closes['too-many']).toBe(2);
      clients[0]?.destroy();
      if (type === 'joining') {
        await eventually(() => expect(attached.stats().active).toBe(MOST - 1));
        expect(await ask(await dial(at.host.broker, inside, link.target), 'x')).toBe('x');
      }
      for (const client of clients) client.destroy();
    },
  );
});
