import { isIP } from 'node:net';
import { describe, expect, test } from 'vitest';
import { ipBytes } from '../../../src/kernel/ip-address.js';
import { fc, property } from '../../support/property.js';

describe('the bytes of an IP address', () => {
  test.each([
    ['127.0.0.1', '7f000001'],
    ['255.255.255.255', 'ffffffff'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['fe80::', 'fe800000000000000000000000000000'],
    ['2001:db8::8:800:200c:417a', '20010db80000000000080800200c417a'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
  ])('of %s are %s', (ip, hex) => {
    expect(ipBytes(ip)?.toString('hex')).toBe(hex);
  });

  test.each(['', 'localhost', '1.2.3', '256.1.1.1', '::%eth0', '[::1]', '1::2::3', '01.2.3.4'])(
    'are not there for %j',
    (ip) => {
      expect(ipBytes(ip)).toBeNull();
    },
  );

  property('are 4 or 16 for whatever is an address, however it is written', async (holds) => {
    await holds(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (ip) => {
        expect(ipBytes(ip)).toHaveLength(isIP(ip) === 4 ? 4 : 16);
      }),
    );
  });
});
