/** Who may see the page, where it listens, and as whom it is served. */
import { describe, expect, test } from 'vitest';
import { authorityOf, isLoopback, listenAddress } from '../../../src/web/address.js';
import { Gate } from '../../../src/web/gate.js';
import { identitiesFor } from '../../../src/web/identity.js';

describe('the gate', () => {
  const gate = new Gate('right', 9280, ['Device', 'device.local']);
  const admit = (more: { host?: string; cookie?: string; token?: string | null }) =>
    gate.admit({ host: '127.0.0.1:9280', cookie: undefined, token: null, ...more });

  test('lets in who has the token, and gives it back as a cookie that no script can read', () => {
    expect(admit({ token: 'right' })).toEqual({
      admitted: true,
      cookie: 'pv-xconnect-web-9280=right; HttpOnly; SameSite=Strict; Path=/',
    });
    expect(admit({ cookie: 'a=b; pv-xconnect-web-9280=right' })).toEqual({ admitted: true });
  });

  test.each([
    {},
    { token: '' },
    { token: 'righ' },
    { token: 'rightt' },
    { cookie: 'pv-xconnect-web-9280=wrong' },
    { cookie: 'pv-xconnect-web-9281=right' },
    { cookie: 'right' },
    { token: 'wrong', cookie: 'pv-xconnect-web-9280=right' },
  ])('keeps out %j', (more) => {
    expect(admit(more)).toMatchObject({ admitted: false, status: 401 });
  });

  test.each([null, ''])('is not made with the token %j, which everybody has', (token) => {
    expect(() => new Gate(token, 9280, [])).toThrow('needs a token');
  });

  test.each(['localhost', 'LOCALHOST:1', '10.0.0.7:80', '[::1]:9280', 'device', 'device.local:80'])(
    'knows %s as a name of this machine',
    (host) => expect(admit({ host, token: 'right' }).admitted).toBe(true),
  );

  test.each([
    ...['evil.example', 'evil.example:9280', 'localhost.evil.example', '127.0.0.1.evil.example'],
    ...['', '[::1', '127.0.0.1:9280:1', 'localhost:x', 'user@localhost', '1.2.3'],
  ])('refuses "%s", with the right token too', (host) => {
    expect(admit({ host, token: 'right' })).toMatchObject({ admitted: false, status: 421 });
  });

  test('refuses a request without a host', () => {
    const admission = gate.admit({ host: undefined, cookie: undefined, token: 'right' });
    expect(admission).toMatchObject({ admitted: false, status: 421 });
  });
});

describe('--listen', () => {
  test.each([
    ['9280', '127.0.0.1:9280', true],
    ['127.0.0.2:0', '127.0.0.2:0', true],
    ['[::1]:9280', '[::1]:9280', true],
    ['0.0.0.0:80', '127.0.0.1:80', false],
    ['[::]:80', '[::1]:80', false],
    ['192.0.2.7:80', '192.0.2.7:80', false],
  ])('takes %s', (text, authority, loopback) => {
    const address = listenAddress(text);
    expect(address && [authorityOf(address), isLoopback(address)]).toEqual([authority, loopback]);
  });

  test.each([
    '',
    ':80',
    'localhost:80',
    '::1:80',
    '127.0.0.1',
    '127.0.0.1:65536',
    '1.2.3.4:-1',
    '[1.2.3.4]:80',
  ])('refuses "%s"', (text) => expect(listenAddress(text)).toBeUndefined());
});

describe('the users of the two processes', () => {
  test('are numbers that nothing else has', () => {
    expect(identitiesFor(7, '         0          0 4294967295\n')).toEqual({
      opener: 0x7f01000e,
      server: 0x7f01000f,
    });
  });

  test('are the highest of a user namespace that lacks them', () => {
    expect(identitiesFor(7, '0 1000 1\n1 100000 65536\n')).toEqual({
      opener: 65535,
      server: 65536,
    });
  });

  test('are none where there is only one', () => {
    expect(identitiesFor(7, '0 1000 1\n')).toBeNull();
  });
});
