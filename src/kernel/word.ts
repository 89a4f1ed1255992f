/** 32-bit numbers without a sign: in this machine's byte order, which is what all peers on it use, or in a named one. */
import { endianness } from 'node:os';

/** Of this machine. */
export const LITTLE = endianness() === 'LE';

/** `offset`: in bytes. Throws a RangeError where no 4 bytes are there. */
export function wordAt(bytes: Buffer, offset: number, little = LITTLE): number {
  return little ? bytes.readUInt32LE(offset) : bytes.readUInt32BE(offset);
}
