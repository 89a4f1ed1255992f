/** Whose code a stack is about. */
import { expect, test } from 'vitest';
import { foreignPlace } from '../../../src/kernel/place.js';

const OURS = new URL('../../../src/host/attacher.ts', import.meta.url).href;

test('the first place outside our own files counts', () => {
  const stack = `Error: x\n    at a (${OURS}:3:1)\n    at b (file:///a/plugin.js:7:2)\n    at c (file:///b.js:1:1)`;
  expect(foreignPlace(stack)).toBe('/a/plugin.js:7');
});

test.each([
  undefined,
  '',
  'Error: x',
  `Error: x\n    at a (${OURS}:3:1)`,
  'at node:internal/x:1:1',
])('there is none in %s', (stack) => {
  expect(foreignPlace(stack)).toBeNull();
});
