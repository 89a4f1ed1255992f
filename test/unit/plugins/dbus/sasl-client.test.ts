import { describe, expect, test } from 'vitest';
import { SaslClient } from '../../../../src/plugins/dbus/sasl-client.js';
import { everyCut } from './splits.js';

const GUID = '0123456789abcdef0123456789ABCDEF';

function asked(question: 'identity' | 'fds'): SaslClient {
  const client = new SaslClient();
  if (question === 'identity') client.authenticate(1000);
  else client.negotiate();
  return client;
}

const answer = (question: 'identity' | 'fds', text: string) =>
  asked(question).feed(Buffer.from(text, 'latin1'));

test('the identity is the decimal uid, in hexadecimal, behind the NUL', () => {
  const { authenticate } = SaslClient.prototype;
  const sent = (uid: number) => authenticate.call(new SaslClient(), uid).toString();
  expect(sent(0)).toBe('\0AUTH EXTERNAL 30\r\n');
  expect(sent(65534)).toBe('\0AUTH EXTERNAL 3635353334\r\n');
  expect(sent(4294967294)).toBe('\0AUTH EXTERNAL 34323934393637323934\r\n');
});

test('a bus lets us in, or not', () => {
  expect(answer('identity', `OK ${GUID}\r\n`)).toEqual({ is: 'accepted', guid: GUID });
  expect(answer('identity', 'REJECTED EXTERNAL\r\n')).toEqual({ is: 'rejected' });
  expect(answer('identity', 'REJECTED\r\n')).toEqual({ is: 'rejected' });
});

test('a bus takes descriptors, or not', () => {
  expect(answer('fds', 'AGREE_UNIX_FD\r\n')).toEqual({ is: 'negotiated', fds: true });
  expect(answer('fds', 'ERROR "no"\r\n')).toEqual({ is: 'negotiated', fds: false });
});

test('an answer may come in any pieces', () => {
  for (const [first, second] of everyCut(Buffer.from(`OK ${GUID}\r\n`))) {
    const client = asked('identity');
    const early = client.feed(first as Buffer);
    expect(early ?? client.feed(second as Buffer)).toEqual({ is: 'accepted', guid: GUID });
  }
});

describe('what a bus may not say:', () => {
  test.each<['identity' | 'fds', string]>([
    ['identity', 'OK\r\n'],
    ['identity', 'OK 0123\r\n'],
    ['identity', `OK ${GUID}0\r\n`],
    ['identity', `OK ${GUID}\n\r\n`],
    ['identity', `OK ${GUID}\r\nOK ${GUID}\r\n`],
    ['identity', `OK ${GUID}\r\nl`],
    ['identity', 'DATA\r\n'],
    ['identity', 'AGREE_UNIX_FD\r\n'],
    ['identity', 'x'.repeat(16_385)],
    ['identity', `OK ${'0'.repeat(20_000)}\r\n`],
    ['fds', `OK ${GUID}\r\n`],
    ['fds', 'AGREE_UNIX_FD \r\n'],
    ['fds', 'AGREE_UNIX_FD\r\n\r'],
  ])('asked for %s: %j', (question, text) => {
    expect(answer(question, text)).toMatchObject({ is: 'failed' });
  });

  test('anything, when it is not asked', () => {
    expect(new SaslClient().feed(Buffer.from('x'))).toMatchObject({ is: 'failed' });
    const client = asked('identity');
    client.feed(Buffer.from(`OK ${GUID}\r\n`));
    expect(client.feed(Buffer.from('x'))).toMatchObject({ is: 'failed' });
  });
});
