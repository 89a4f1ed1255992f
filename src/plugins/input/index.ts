/**
 * input: the provider's input device, as a node in the consumer or as descriptors that its clients are handed
 * (docs/devices.md). A descriptor is revoked (EVIOCREVOKE) with its client or with the link. An export with `match` is
 * the device of that identity, whichever number it gets when it is plugged in again.
 */
import { posix } from 'node:path';
import type { Link } from '../../graph/link.js';
import type { LinkError } from '../../kernel/errors.js';
import { attachDevice } from '../device/attach.js';
import type { DeviceNode } from '../device/device.js';
import type { Plugin } from '../plugin.js';

/** The minor numbers of each kind (evdev.c, mousedev.c and joydev.c of the kernel). */
const RANGES: Readonly<Record<string, readonly [first: number, count: number]>> = {
  event: [64, 32],
  mouse: [32, 31],
  js: [0, 16],
};
/** Devices beyond those ranges have minor numbers from here on, which are in their names, too. */
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

/** A node with one of the kernel's names must have the numbers of that name; one with another name may have any. */
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
