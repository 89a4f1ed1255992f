/**
 * drm: the provider's card or renderer, as a node in the consumer or as descriptors that it is handed.
 *
 * Who may draw on the screen is decided here, not by who happens to open a card first. A descriptor of a card is
 * DRM master only for the role `master`, and then the newest: the client that was master before is ended. An
 * export with `lease` hands out a lease of its connectors in place of the card, one at a time.
 */
import type { Link } from '../../graph/link.js';
import { type LinkError, XConnectError } from '../../kernel/errors.js';
import { attachDevice } from '../device/attach.js';
import type { OpenForClient } from '../device/descriptor-server.js';
import type { Device, DeviceNode, OpenedDevice } from '../device/device.js';
import { Exclusive } from '../device/exclusive.js';
import type { Plugin } from '../plugin.js';
import { chooseObjects } from './connectors.js';
import { isCard, linkError, nodeError } from './nodes.js';

/** What is known of a card over all links to it. */
class CardUse {
  readonly master = new Exclusive();
  /** Ids of what is leased. */
  readonly leased = new Set<number>();
}

class Cards {
  readonly #uses = new Map<string, CardUse>();

  of({ major, minor }: DeviceNode): CardUse {
    const key = `${major}:${minor}`;
    const use = this.#uses.get(key) ?? new CardUse();
    this.#uses.set(key, use);
    return use;
  }
}

const cards = new Cards();

export const drm: Plugin = {
  types: ['drm'],

  async attach(link, host) {
    const error = linkError(link);
    if (error) throw new XConnectError(error.code, error.message);
    const check = (path: string, node: DeviceNode) => nodeError(link, path, node);
    return attachDevice(link, host, { kind: 'drm', check }, (device) => opener(link, device));
  },
};

function opener(link: Link, device: Device): OpenForClient {
  const { lease } = link;
  const ofThisLink = new Exclusive();
  return async (end) => {
    const node = await device.find();
    if ('code' in node) return node;
    const card = cards.of(node);
    if (lease) return ofThisLink.take(end, () => leased(device, lease, card));
    const readOnly = link.access === 'ro';
    const master = link.role === 'master' && isCard(link.socket, node);
    if (!master) return device.open({ readOnly });
    return card.master.take(end, () => device.open({ readOnly, master }));
  };
}

async function leased(
  device: Device,
  names: readonly string[],
  card: CardUse,
): Promise<OpenedDevice | LinkError> {
  let objects: readonly number[] = [];
  const opened = await device.lease((read) => {
    const chosen = chooseObjects(read, names, card.leased);
    if ('code' in chosen) return chosen;
    objects = chosen;
    for (const id of objects) card.leased.add(id);
    return objects;
  });
  const forget = () => {
    for (const id of objects) card.leased.delete(id);
    objects = [];
  };
  if ('code' in opened) {
    forget();
    return opened;
  }
  const revoke = () => opened.revoke().finally(forget);
  return { fd: opened.fd, revoke };
}
