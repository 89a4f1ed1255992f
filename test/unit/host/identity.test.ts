import { describe, expect, test } from 'vitest';
import { fixedIdentity, resolveIdentity } from '../../../src/host/identity.js';
import { fc, property } from '../../support/property.js';

const PASSWD = `root:x:0:0:root:/root:/bin/sh
operator::1000:1001::/home/operator:
svc:x:2000:2001
broken:x:notanumber:1:::
negative:x:-1:-1:::
huge:x:4294967295:1:::
short:x:5
twice:x:10:10:::
twice:x:11:11:::
`;

describe('the identity of a link', () => {
  test('of role any is root of the provider on a unix link, and nobody on a bus', () => {
    expect(fixedIdentity({ role: 'any', type: 'unix' })).toEqual({ uid: 0, gid: 0 });
    expect(fixedIdentity({ role: 'any', type: 'dbus' })).toEqual({ uid: 65534, gid: 65534 });
  });

  test('that the runtime resolved is taken as it is', () => {
    expect(fixedIdentity({ role: 'operator', type: 'dbus', uid: 200_001 })).toEqual({
      uid: 200_001,
      gid: 200_001,
    });
  });

  test('of a named role takes a look into passwd', () => {
    expect(fixedIdentity({ role: 'operator', type: 'unix' })).toBeNull();
    expect(resolveIdentity('operator', 'unix', PASSWD)).toEqual({ uid: 1000, gid: 1001 });
  });

  test('counts an empty field as a field, and does without those after the gid', () => {
    expect(resolveIdentity('svc', 'unix', PASSWD)).toEqual({ uid: 2000, gid: 2001 });
  });

  test('takes the first of two lines with one name', () => {
    expect(resolveIdentity('twice', 'unix', PASSWD)).toEqual({ uid: 10, gid: 10 });
  });

  test.each(['broken', 'negative', 'huge', 'short', 'missing', 'operato', ''])(
    'of role %j, which passwd does not know, is root on a unix link and nobody on a bus',
    (role) => {
      expect(resolveIdentity(role, 'unix', PASSWD)).toEqual({ uid: 0, gid: 0 });
      expect(resolveIdentity(role, 'dbus', PASSWD)).toEqual({ uid: 65534, gid: 65534 });
    },
  );

  test('of a numeric role is that uid, with the gid of its line where there is one', () => {
    expect(resolveIdentity('1000', 'unix', PASSWD)).toEqual({ uid: 1000, gid: 1001 });
    expect(resolveIdentity('3000', 'unix', PASSWD)).toEqual({ uid: 3000, gid: 3000 });
  });

  test('never is the uid that means "unchanged" to the kernel', () => {
    const notUnchanged = ({ uid, gid }: { uid: number; gid: number }) => {
      expect(uid).toBeLessThan(0xffff_ffff);
      expect(gid).toBeLessThan(0xffff_ffff);
    };
    notUnchanged(resolveIdentity('4294967295', 'dbus', PASSWD));
    notUnchanged(resolveIdentity('x', 'dbus', 'x:x:4294967295:4294967295'));
    notUnchanged(resolveIdentity('x', 'dbus', 'x:x:1:4294967295'));
  });

  property(
    'of a role that is not root never becomes root by what passwd says, unless it says 0',
    async (holds) => {
      await holds(
        fc.property(fc.string(), fc.stringMatching(/^[a-z]{1,8}$/), (junk, role) => {
          const passwd = `${junk}\n${role}:x:1234:1234:::\n`;
          fc.pre(!junk.includes(`${role}:`));
          expect(resolveIdentity(role, 'dbus', passwd)).toEqual({ uid: 1234, gid: 1234 });
        }),
      );
    },
  );

  property('is told from any passwd without an exception', async (holds) => {
    await holds(
      fc.property(fc.string(), fc.string({ unit: 'binary' }), (role, passwd) => {
        const { uid, gid } = resolveIdentity(role, 'unix', passwd);
        expect(Number.isInteger(uid) && Number.isInteger(gid)).toBe(true);
      }),
    );
  });
});
