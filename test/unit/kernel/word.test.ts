import { expect, test } from 'vitest';
import { wordAt } from '../../../src/kernel/word.js';

test('reads a word in the byte order that is named, or else in the machine’s', () => {
  const bytes = Buffer.from([0, 0x81, 2, 3, 4]);
  expect(wordAt(bytes, 1, true)).toBe(0x04030281);
  expect(wordAt(bytes, 1, false)).toBe(0x81020304);
  const native = new Uint8Array(new Uint32Array([0xfedcba98]).buffer);
  expect(wordAt(Buffer.from(native), 0)).toBe(0xfedcba98);
});

test('refuses to read behind the end', () => {
  expect(() => wordAt(Buffer.alloc(7), 4)).toThrow(RangeError);
});
