/** Bytes in pieces, as a socket may hand them over. */
import { fc } from '../../../support/property.js';

/** In two, at every place. */
export function* everyCut(bytes: Buffer): Generator<Buffer[]> {
  for (let at = 0; at <= bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)];
}

/** Functions that cut bytes at any places, always the same ones. */
export function cuts(): fc.Arbitrary<(bytes: Buffer) => Buffer[]> {
  return fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }).map((sizes) => {
    return (bytes: Buffer) => {
      const pieces: Buffer[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % sizes.length] as number;
        pieces.push(bytes.subarray(at, at + size));
        at += size;
      }
      return pieces;
    };
  });
}
