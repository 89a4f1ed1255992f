/** A provider's end as a link's host has it, with a broker that answers nothing by itself. */
import { Broker } from '../../../src/broker/client.js';
import type { Link } from '../../../src/graph/link.js';
import { RUNTIME_PROVIDER } from '../../../src/graph/link.js';
import { Announcer } from '../../../src/host/announcer.js';
import { BusProvider } from '../../../src/host/bus-provider.js';
import { ContainerProvider } from '../../../src/host/container-provider.js';
import { Container, Containers } from '../../../src/host/containers.js';
import { LinkDevice } from '../../../src/host/device.js';
import { HostProvider } from '../../../src/host/host-provider.js';
import { PlantWatch } from '../../../src/host/plants.js';
import type { LinkError } from '../../../src/kernel/errors.js';
import { createLogger } from '../../../src/kernel/log.js';

export type ProviderStand = ReturnType<typeof providerStand>;

export function providerStand(link: Link) {
  const channel = { send: () => undefined, close: () => undefined, onMessage: null, onEnd: null };
  const broker = new Broker(channel, 0);
  const containers = new Containers(broker);
  containers.retain = async (name, pid) => ({
    ok: true,
    value: new Container(name, pid, pid, pid),
  });
  const told: [string, string | null][] = [];
  const announcer = new Announcer((state, error) => told.push([state, error?.code ?? null]));
  announcer.announce();
  const onChange = () => announcer.anew();
  const parts = { announcer, onChange, broker, containers, buses: ['/bus'] };
  const provider =
    link.provider !== RUNTIME_PROVIDER
      ? new ContainerProvider(parts, link)
      : link.type === 'dbus'
        ? new BusProvider(parts, link)
        : new HostProvider(parts, link);
  const device = new LinkDevice(
    {
      broker,
      consumer: new Container('consumer', 6, 6, 6),
      plantWatch: new PlantWatch(broker),
      log: createLogger('silent'),
      patienceMs: 1_000,
      lookSoon: () => provider.soon(),
      provider: () => provider.container,
      onPlanting: () => undefined,
    },
    link,
    { kind: 'drm' },
  );
  return {
    ...{ broker, containers, provider, told, device },
    reportHealth: (error: LinkError | null) => announcer.health(error),
    onGone: (listener: () => void) => {
      device.onGone = listener;
    },
  };
}
