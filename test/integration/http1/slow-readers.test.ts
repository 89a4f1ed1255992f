/** Clients that are slow to read an answer that is the connection's last: they get all of it. */
import { expect, test } from 'vitest';
import { pause } from '../../support/wait.js';
import { readToEnd, Stand } from './stand.js';

/** More than a socket's buffer takes, by less than one read: the rest of it waits with us. */
const BODY = 300_000;

function answering(before: string, after = ''): Stand {
  return new Stand((socket) => {
    const body = 'x'.repeat(BODY);
    socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\n${before}${body}${after}`));
  });
}

test.each([
  ['HTTP/1.1', `Transfer-Encoding: chunked\r\n\r\n${BODY.toString(16)}\r\n`, '\r\n0\r\n\r\n'],
  ['HTTP/1.1', `Content-Length: ${BODY}\r\n\r\n`, ''],
  ['HTTP/1.0', `Content-Length: ${BODY}\r\n\r\n`, ''],
])('a client by %s that reads nothing for a while: %j', async (version, before, after) => {
  const stand = answering(before, after);
  const client = stand.client();
  client.write(`GET / ${version}\r\nHost: a\r\nConnection: close\r\n\r\n`);
  await pause(3_000); // nobody can see that it does not read; longer than an ended connection is kept otherwise
  const answer = await readToEnd(client);
  expect(answer.match(/x/g)?.length).toBe(BODY);
  stand.close();
});

test('a client that says so early that it has no more to ask', async () => {
  const stand = answering(`Content-Length: ${BODY}\r\n\r\n`);
  const client = stand.client();
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await pause(300); // a slow reader, as above
  client.end();
  await pause(300); // the same
  expect((await readToEnd(client)).match(/x/g)?.length).toBe(BODY);
  stand.close();
});
