/**
 * The device records of native/protocol.h, decoded: a node, and what of a DRM card can be leased. A unit test
 * compares the two files.
 */
import { wordAt } from '../kernel/word.js';
import type { Card } from '../plugins/device/device.js';

/** `PVX_DEVICE_*`. */
export const DEVICE_KINDS = { drm: 1, input: 2 } as const;
export type DeviceKind = keyof typeof DEVICE_KINDS;

export const OPEN_READ_ONLY = 1;
export const OPEN_MASTER = 2;
export const CRTCS_MAX = 32;
export const CONNECTORS_MAX = 64;

const CONNECTOR_WORDS = 5;
export const NODE_SIZE = 20;
export const CARD_SIZE = 4 * (2 + CRTCS_MAX + CONNECTORS_MAX * CONNECTOR_WORDS);

export interface Node {
  readonly major: number;
  readonly minor: number;
  /** Permission bits. */
  readonly mode: number;
  /** As its container counts them. */
  readonly uid: number;
  readonly gid: number;
}

/** Throws a RangeError for a record that is too short: the broker is not ours. */
export function decodeNode(data: Buffer): Node {
  const word = (index: number) => wordAt(data, index * 4);
  return { major: word(0), minor: word(1), mode: word(2), uid: word(3), gid: word(4) };
}

/** Throws like decodeNode. */
export function decodeCard(data: Buffer): Card {
  const word = (index: number) => wordAt(data, index * 4);
  const crtcs = Array.from({ length: Math.min(word(0), CRTCS_MAX) }, (_, i) => word(2 + i));
  const count = Math.min(word(1), CONNECTORS_MAX);
  const connectors = Array.from({ length: count }, (_, i) => {
    const first = 2 + CRTCS_MAX + i * CONNECTOR_WORDS;
    const possible = word(first + 3);
    return {
      id: word(first),
      type: word(first + 1),
      number: word(first + 2),
      crtcs: crtcs.filter((_id, bit) => (possible >>> bit) & 1),
      crtc: word(first + 4),
    };
  });
  return { crtcs, connectors };
}
