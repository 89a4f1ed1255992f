import { describe, expect, test } from 'vitest';
import { isSignature } from '../../../../src/plugins/dbus/signature.js';

describe('signatures', () => {
  test.each([
    '',
    ...[...'ybnqiuxtdsogvh'],
    'as',
    'a{sv}',
    '(ii)',
    '((y)a{s(v)})s',
    'aaay',
    `${'a'.repeat(32)}y`,
    `${'('.repeat(32)}y${')'.repeat(32)}`,
    'y'.repeat(255),
  ])('%j is one', (text) => expect(isSignature(text)).toBe(true));

  test.each([
    'a',
    'k',
    '(',
    ')',
    '()',
    '{sv}',
    'a{s}',
    'a{svv}',
    'a{vs}',
    'a{(y)s}',
    'a{sv',
    '(y',
    'y)',
    'sa',
    `${'a'.repeat(33)}y`,
    `${'('.repeat(33)}y${')'.repeat(33)}`,
    'y'.repeat(256),
    's\0',
  ])('%j is none', (text) => expect(isSignature(text)).toBe(false));
});
