/** A provider's end of a link, with a broker of the test's own: what is in flight when something else happens. */
import { openSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Broker } from '../../../src/broker/client.js';
import { BusProvider } from '../../../src/host/bus-provider.js';
import { Container, Containers } from '../../../src/host/containers.js';
import { Provider } from '../../../src/host/provider.js';
import type { Seen } from '../../../src/plugins/plugin.js';
import { closed } from '../../support/descriptors.js';
import { unixLink } from '../../support/link.js';

const EVENTS = { onChange: () => undefined, onState: () => undefined };
const RUNNING = unixLink({ providerPid: 7 });

function parts() {
  const channel = { send: () => undefined, close: () => undefined, onMessage: null, onEnd: null };
  const broker = new Broker(channel);
  const containers = new Containers(broker);
  containers.retain = async () => new Container('provider', 7, 1, 1);
  return { broker, containers };
}

describe('a look at a provider', () => {
  test('is taken once more, however often there is reason to while one is under way', async () => {
    const { broker, containers } = parts();
    const provider = new Provider(broker, containers, RUNNING, EVENTS);
    const looks: ((seen: Seen) => void)[] = [];
    provider.lookWith(() => new Promise((resolve) => looks.push(resolve)));
    await turn();
    for (let i = 0; i < 1_000; i++) provider.soon();
    expect(looks).toHaveLength(1);
    looks[0]?.({ error: null });
    await turn();
    expect(looks).toHaveLength(2);
    looks[1]?.({ error: null });
    await turn();
    expect(looks).toHaveLength(2);
    provider.soon();
    expect(looks).toHaveLength(3);
    provider.close();
  });

  test('that hangs does not keep the next container from being looked at', async () => {
    const { broker, containers } = parts();
    const provider = new Provider(broker, containers, RUNNING, EVENTS);
    let looks = 0;
    provider.lookWith(() => {
      looks++;
      return new Promise(() => undefined);
    });
    await turn();
    await Promise.race([provider.retarget({ ...RUNNING, providerPid: 8 }, 0), turn()]);
    expect(looks).toBe(2);
    provider.close();
  });
});

describe('a connection that is made when its link has ended', () => {
  test.each(['container', 'bus'])('is closed, to a %s', async (to) => {
    const { broker, containers } = parts();
    const fd = openSync('/dev/null', 'r');
    let made = (_result: { ok: true; value: number }) => {};
    broker.connectUnix = broker.connectBus = () =>
      new Promise((resolve) => {
        made = resolve;
      });
    const bus = { ...RUNNING, socket: '/bus', uid: 200_000 };
    const provider =
      to === 'bus'
        ? new BusProvider(broker, ['/bus'], bus, EVENTS)
        : new Provider(broker, containers, RUNNING, EVENTS);
    if (provider instanceof Provider) {
      broker.probeUnix = async () => ({ ok: true, value: undefined });
      await provider.retarget(RUNNING, 0);
    }
    const connecting = provider.connect('stream', 1_000, () => 'on');
    await turn();
    provider.close();
    made({ ok: true, value: fd });
    expect(await connecting).toMatchObject({ again: false });
    await closed(fd);
  });
});

const turn = () => new Promise((resolve) => setImmediate(resolve));
