/**
 * Which DRM node is what: its name, its numbers and the role of whoever wants it must agree. Pure.
 *
 * `/dev/dri/cardN` is a card, and who has it may be master; `/dev/dri/renderDN` only computes. N is the minor
 * number: a provider can't pass another device off under the name that its manifest has. By any other name (an
 * alias of udev, say) a node is what its minor number says: cards up to 63, renderers from 128 to 191.
 */
import { posix } from 'node:path';
import type { Link } from '../../graph/link.js';
import type { LinkError } from '../../kernel/errors.js';
import type { DeviceNode } from '../device/device.js';

type Kind = 'card' | 'render';

const NAME: Readonly<Record<Kind, RegExp>> = { card: /^card(\d+)$/, render: /^renderD(\d+)$/ };
/** What a role must have; any other role may have either. */
const ROLES: Readonly<Record<string, Kind>> = { master: 'card', render: 'render' };
const USUAL: Readonly<Record<Kind, string>> = { card: 'cardN', render: 'renderDN' };
/** Minor numbers from here on can be of either kind (Linux 6.12); only the name tells. */
const FIRST_OF_ANY = 192;

/** What is wrong with the link whatever there is; null: nothing. */
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

/** What is wrong with the node that was found; null: nothing. */
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
