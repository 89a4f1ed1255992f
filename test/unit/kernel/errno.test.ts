import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { errnoName } from '../../../src/kernel/errno.js';

test('names every errno that the system has, and numbers the others', () => {
  expect(errnoName(constants.errno.ESTALE)).toBe('ESTALE');
  expect(errnoName(constants.errno.EAGAIN)).toBe('EAGAIN');
  expect(errnoName(4711)).toBe('E4711');
});
