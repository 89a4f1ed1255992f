/**
 * drm: the provider's card or renderer, as a node in the consumer or as descriptors that its clients are handed
 * (docs/devices.md).
 *
 * Who may draw on the screen is decided here, and not by who opens a card first. Only a link with the role `master`
 * hands out a descriptor that is DRM master, and the newest client has it: the one that was master before is ended. A
 * link with `lease` hands out a lease of the named connectors in place of the card, to one client at a time.
 */
import type { Link } from '../../graph/link.js';
import { XConnectError } from '../../kernel/errors.js';
import { ok, type Result } from '../../kernel/result.js';
import { attachDevice } from '../device/attach.js';
import type { OpenForClient } from '../device/descriptor-server.js';
import type { Device, DeviceNode, OpenedDevice } from '../device/device.js';
import type { Plugin } from '../plugin.js';
import { Cards, type CardUse, Exclusive } from './cards.js';
import { chooseObjects } from './connectors.js';
import { isCard, linkError, nodeError } from './nodes.js';

export function drm(): Plugin {
  const cards = new Cards();
  return {
    types: ['drm'],
    async attach(link, host) {
      const error = linkError(link);
      if (error) throw new XConnectError(error.code, error.message);
      const check = (path: string, node: DeviceNode) => nodeError(link, path, node);
      const open = (device: Device) => opener(link, device, cards);
      return attachDevice(link, host, { kind: 'drm', check }, open);
    },
  };
}

/** How the device is opened for a client of that link. */
function opener(link: Link, device: Device, cards: Cards): OpenForClient {
  const { lease } = link;
  const ofThisLink = new Exclusive();
  return async (end) => {
    const found = await device.find();
    if (!found.ok) return found;
    const node = found.value;
    const card = cards.of(node);
    if (lease) return ofThisLink.take(end, () => leased(device, lease, card));
    const readOnly = link.access === 'ro';
    const master = link.role === 'master' && isCard(link.socket, node);
    if (!master) return device.open({ readOnly });
    return card.master.take(end, () => device.open({ readOnly, master }));
  };
}

/** Leases the named connectors of the card; they are free again once the lease is revoked. */
async function leased(
  device: Device,
  names: readonly string[],
  card: CardUse,
): Promise<Result<OpenedDevice>> {
  let objects: readonly number[] = [];
  const opened = await device.lease((read) => {
    const chosen = chooseObjects(read, names, card.leased);
    if (!chosen.ok) return chosen;
    objects = chosen.value;
    for (const id of objects) card.leased.add(id);
    return chosen;
  });
  const forget = () => {
    for (const id of objects) card.leased.delete(id);
    objects = [];
  };
  if (!opened.ok) {
    forget();
    return opened;
  }
  const lease = opened.value;
  return ok({ fd: lease.fd, revoke: () => lease.revoke().finally(forget) });
}
