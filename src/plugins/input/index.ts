/**
 * input: the provider's input device, as a node in the consumer or as descriptors that it is handed, each of them
 * revoked (EVIOCREVOKE) with its client or with the link. An export with `match` is the device of that identity,
 * whichever number it has after it was plugged in again.
 */
import { posix } from 'node:path';
import type { Link } from '../../graph/link.js';
import type { LinkError } from '../../kernel/errors.js';
import { attachDevice } from '../device/attach.js';
import type { DeviceNode } from '../device/device.js';
import type { Plugin } from '../plugin.js';

/** Minor numbers that begin each kind, and how many there are (input.h, evdev.c and its kin of the kernel). */
const RANGES: Readonly<Record<string, readonly [first: number, count: number]>> = {
  event: [64, 32],
  mouse: [32, 31],
  js: [0, 16],
};
/** Devices beyond those have their minor number in their name. */
const FIRST_DYNAMIC = 256;

export const input: Plugin = {
  types: ['input'],

  async attach(link, host) {
    const check = (path: string, node: DeviceNode) => nodeError(link, path, node);
    const readOnly = link.access === 'ro';
    return attachDevice(
      link,
      host,
      { kind: 'input', check },
      (device) => () => device.open({ readOnly }),
    );
  },
};

/** By one of the kernel's names a node must have that name's numbers; by any other it may have any. */
export function nodeError(link: Link, path: string, node: DeviceNode): LinkError | null {
  const [, kind = '', digits] = /^(event|mouse|js)(\d+)$/.exec(posix.basename(path)) ?? [];
  const range = RANGES[kind];
  if (!range) return null;
  const number = Number(digits);
  const [first, count] = range;
  const expected = number < count ? first + number : number;
  if (node.minor === expected && (number < count || number >= FIRST_DYNAMIC)) return null;
  const numbers = `${node.major}:${node.minor}`;
  const message = `${path} in ${link.provider}: its numbers are ${numbers}, which is not what its name says.`;
  return { code: 'device-wrong', message };
}
