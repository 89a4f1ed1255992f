/** A callback of a plugin throws or rejects: only the result of that call is lost. */
import { describe, expect, test } from 'vitest';
import type { LinkHost, Plugin, Seen } from '../../../src/plugins/plugin.js';
import { ask, dial, startEcho } from '../../support/peers.js';
import { usePluginStand } from './support.js';

const bug = () => {
  throw new Error('a bug');
};
const rejects = async () => bug();

describe('a plugin’s callback with a bug', () => {
  const at = usePluginStand({ link: { type: 'faulty' } });
  let prepare: (host: LinkHost) => void;
  const plugin: Plugin = {
    types: ['faulty'],
    attach: async (_link, host) => {
      prepare(host);
      return host.forward({ type: 'stream' });
    },
  };

  async function attach(prepared: typeof prepare) {
    if (!at.host.plugins.for({ type: 'faulty', interface: 'faulty' })) at.host.plugins.add(plugin);
    prepare = prepared;
    const { broker } = at.host;
    at.closing(await startEcho(broker, await at.handleOf(at.provider), at.link().socket));
    return at.attach();
  }

  /** The link goes on. */
  async function serves(): Promise<void> {
    const socket = await dial(at.host.broker, await at.handleOf(at.consumer), at.link().target);
    expect(await ask(socket, 'hello')).toBe('hello');
  }

  test.each([
    ['rejects', rejects],
    ['throws', bug],
    ['finds nothing that was agreed on', async () => undefined as unknown as Seen],
  ])('that looks at the provider and %s: its link is failed', async (_, look) => {
    await attach((host) => host.watch(look));
    await at.untilState('failed', 'internal');
    await serves();
  });

  test('that verifies the provider and rejects: its link is failed', async () => {
    await attach((host) => void host.verify(rejects));
    await at.untilState('failed', 'internal');
    await serves();
  });

  test.each([
    ['throws', bug],
    ['rejects', rejects],
  ])('that hears of another provider and %s: the link goes there', async (_, listener) => {
    const attached = await attach((host) => host.onProviderChange(listener));
    await attached.retarget(at.link(), 0);
    await at.untilState('established');
    await serves();
  });

  test('that chooses a socket and rejects: its connection is refused', async () => {
    if (!at.host.plugins.for({ type: 'chooser', interface: 'chooser' })) {
      at.host.plugins.add({
        types: ['chooser'],
        attach: (_link, host) => host.forward({ type: 'stream', through: rejects }),
      });
    }
    await at.attach(at.link({ type: 'chooser' }));
    const socket = await dial(at.host.broker, await at.handleOf(at.consumer), at.link().target);
    expect(await ask(socket, 'hello')).toBe('');
  });

  test('that closes a shared listener and rejects: the link ends all the same', async () => {
    const make = () => ({ onConnection: () => undefined, close: rejects });
    if (!at.host.plugins.for({ type: 'sharer', interface: 'sharer' })) {
      at.host.plugins.add({
        types: ['sharer'],
        attach: async (_link, host) => {
          await host.share(make);
          return { detach: async () => undefined };
        },
      });
    }
    const link = at.link({ type: 'sharer', target: '127.0.0.1:4711' });
    const attached = await at.attach(link);
    await attached.detach(0).done;
    const again = await at.attach(link);
    await again.detach(0).done;
  });
});
