/** Answers of our own in place of the provider: what they need of the request was noted when it was read. */
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { DEFAULT_LIMITS } from '../../../src/http1/limits.js';
import { eventually } from '../../support/wait.js';
import { exchange, Stand } from './stand.js';

const AWAY = { code: 'provider-not-running', message: 'It is away.' } as const;

test.each([1, 99])('HEAD with %i more fields is answered without a body', async (count) => {
  const stand = new Stand(() => undefined, {
    unreachable: () => AWAY,
    lines: 'X-PV-Client: a\r\nX-PV-Role: b\r\n',
  });
  const fields = Array.from({ length: count }, (_, i) => `X-${i}: 1\r\n`).join('');
  const get = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
  const answers = await exchange(stand, `HEAD / HTTP/1.1\r\nHost: a\r\n${fields}\r\n${get}`);
  expect(answers.match(/^HTTP\/1\.1 503 /gm)).toHaveLength(2);
  expect(answers.match(/It is away\./g)).toHaveLength(1);
  expect(answers).toContain('keep-alive\r\n\r\nHTTP/1.1 503 ');
  stand.close();
});

test.each([
  ['as many header fields', 'X-1: 1\r\n'.repeat(98)],
  ['as large a head', `X-1: ${'1'.repeat(DEFAULT_LIMITS.head - 68)}\r\n`],
])('a client that sends %s as it may is answered in JSON where it wants that', async (_, more) => {
  const lines = 'X-PV-Client: a\r\nX-PV-Role: b\r\n';
  const stand = new Stand(() => undefined, { unreachable: () => AWAY, lines });
  const head = `GET / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n${more}\r\n`;
  const answer = await exchange(stand, head, true);
  expect(answer).toMatch(/^HTTP\/1\.1 503 /);
  expect(answer).toMatch(/\r\n\r\n\{"Error":"It is away\."\}\n$/);
  stand.close();
});

test('clients that stay when they were told to go are not waited for in any number', async () => {
  const stand = new Stand(() => undefined);
  const clients = Array.from({ length: 600 }, () => stand.client());
  const closed: number[] = [];
  for (const [index, client] of clients.entries()) {
    client.on('error', () => closed.push(index)); // EPIPE: nobody reads there any more
    client.write('this is no request\r\n\r\n');
    await once(client.resume(), 'end');
  }
  for (const client of clients) client.write('and more');
  const eldest = Array.from({ length: 88 }, (_, index) => index);
  await eventually(() => expect(closed).toEqual(expect.arrayContaining(eldest)));
  for (const client of clients) client.destroy();
  stand.close();
});
