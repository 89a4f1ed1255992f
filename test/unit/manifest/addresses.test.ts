/** Addresses of pools and interfaces: an IPv6 one with a zone means nothing in another network. */
import { expect, test } from 'vitest';
import { FORMATS } from '../../../src/manifest/formats.js';

test.each([
  ['10.0.0.1', true, true],
  ['fe80::1', true, true],
  ['10.0.0.1/24', false, true],
  ['fe80::1%eth0', false, false],
  ['fe80::1%eth0/64', false, false],
  ['10.0.0.256', false, false],
  ['', false, false],
])('%j', (text, isAddress, isEither) => {
  expect([FORMATS.ip(text), FORMATS['host-or-cidr'](text)]).toEqual([isAddress, isEither]);
});
