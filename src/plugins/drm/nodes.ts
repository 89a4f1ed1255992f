/**
 * Checks that the name of a DRM node, its numbers and the role of the link agree. Pure.
 *
 * `/dev/dri/cardN` is a card, whose client may be master; `/dev/dri/renderDN` is a renderer, which only computes. N is
 * the minor number, so a provider can't offer another device under the name in its manifest. A node with any other name
 * (such as an alias by udev) is what its minor number says: a card up to 63, a renderer from 128 to 191.
 */
import { posix } from 'node:path';
import type { Link } from '../../graph/link.js';
import type { LinkError } from '../../kernel/errors.js';
import type { DeviceNode } from '../device/device.js';

type Kind = 'card' | 'render';

const NAME: Readonly<Record<Kind, RegExp>> = { card: /^card(\d+)$/, render: /^renderD(\d+)$/ };
/** The kind of node that a role needs; any other role may have either. */
const ROLES: Readonly<Record<string, Kind>> = { master: 'card', render: 'render' };
const USUAL: Readonly<Record<Kind, string>> = { card: 'cardN', render: 'renderDN' };
/** From this minor number on, a node can be of either kind (Linux 6.12), and only its name tells which. */
const FIRST_OF_ANY = 192;

/** What is wrong with the link itself, whatever the provider has; null: nothing. */
export function linkError(link: Link): LinkError | null {
  const name = posix.basename(link.socket);
  const wanted = Object.hasOwn(ROLES, link.role) ? ROLES[link.role] : undefined;
  if (wanted && !NAME[wanted].test(name)) {
    return wrong(link, link.socket, `role ${link.role} wants a ${USUAL[wanted]}`);
  }
  if (link.lease && NAME.render.test(name)) {
    return wrong(link, link.socket, `only a ${USUAL.card} has connectors to lease`);
  }
  return null;
}

/** What is wrong with the node that was found at `path` in the provider; null: nothing. */
export function nodeError(link: Link, path: string, node: DeviceNode): LinkError | null {
  const named = nameOf(path);
  const numbers = `${node.major}:${node.minor}`;
  if (!named) {
    const kind = kindByMinor(node.minor);
    if (kind === null) return wrong(link, path, `${numbers} is neither a card nor a renderer`);
    if (kind === 'card' || !link.lease) return null;
    return wrong(link, path, `${numbers} is a renderer, and only a card has connectors to lease`);
  }
  const byMinor = node.minor >= FIRST_OF_ANY ? named.kind : kindByMinor(node.minor);
  if (node.minor === named.number && byMinor === named.kind) return null;
  return wrong(link, path, `its numbers are ${numbers}, which is not what its name says`);
}

export function isCard(path: string, node: DeviceNode): boolean {
  return (nameOf(path)?.kind ?? kindByMinor(node.minor)) === 'card';
}

function nameOf(path: string): { kind: Kind; number: number } | null {
  const name = posix.basename(path);
  for (const kind of ['card', 'render'] as const) {
    const number = NAME[kind].exec(name)?.[1];
    if (number !== undefined) return { kind, number: Number(number) };
  }
  return null;
}

function kindByMinor(minor: number): Kind | null {
  if (minor < 64) return 'card';
  return minor >= 128 && minor < FIRST_OF_ANY ? 'render' : null;
}

function wrong(link: Link, path: string, why: string): LinkError {
  return { code: 'device-wrong', message: `${path} in ${link.provider}: ${why}.` };
}
