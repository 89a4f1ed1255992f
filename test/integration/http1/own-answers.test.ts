/** What we answer ourselves, where the request as it was to be sent on says less than the one that came. */
import { expect, test } from 'vitest';
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
