/**
 * Clients that send requests and close at once: whole requests reach the provider, and nothing waits for a client that
 * left.
 */
import { once } from 'node:events';
import type net from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { ByteChannel } from '../../../src/relay/byte-channel.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import { eventually } from '../../support/wait.js';
import { httpProvider, Stand } from './stand.js';

let stand: Stand;
afterEach(() => stand?.close());

const post = (path: string, body: string) =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

/** A stand whose provider notes each request that it read to its end. */
function noting(answer = true): string[] {
  const seen: string[] = [];
  stand = new Stand(
    httpProvider((asked, response) => {
      let length = 0;
      asked.on('data', (chunk: Buffer) => {
        length += chunk.length;
      });
      asked.on('end', () => {
        seen.push(`${asked.url} ${length}`);
        if (answer) response.end('done');
      });
    }),
    // As with the broker, a connection takes a while: the client is gone before there is one.
    { unreachable: () => new Promise((resolve) => setTimeout(() => resolve(null), 5)) },
  );
  return seen;
}

/** Sends it all and closes, before anybody has looked. */
function sendAndClose(text: string): void {
  const [near, far] = native.socketPair(SOCKET_TYPES.stream);
  const bytes = Buffer.from(text, 'latin1');
  expect(native.socketWrite(far, bytes, 0, bytes.length)).toBe(bytes.length);
  native.socketClose(far);
  stand.accept(new ByteChannel(near));
}

test('a hundred whole requests, each followed by a close, are a hundred requests', async () => {
  const seen = noting();
  const all = Array.from({ length: 100 }, (_, i) => `/${i}`);
  for (const path of all) sendAndClose(post(path, 'hello'));
  await eventually(() => expect(seen).toHaveLength(100));
  expect([...seen].sort()).toEqual(all.map((path) => `${path} 5`).sort());
  await eventually(() => expect(stand.connections.size).toBe(0));
});

test('requests behind each other are all sent on, and half a request is not', async () => {
  const seen = noting();
  const large = 'x'.repeat(100_000);
  sendAndClose(post('/1', 'a') + post('/2', large) + post('/3', '') + post('/4', 'b').slice(0, -1));
  await eventually(() => expect(stand.connections.size).toBe(0));
  expect(seen).toEqual(['/1 1', '/2 100000', '/3 0']);
});

test('a body that is chunked, and longer than one read, is sent on to its end', async () => {
  const seen = noting();
  const chunk = `8000\r\n${'x'.repeat(0x8000)}\r\n`;
  const head = 'POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
  sendAndClose(`${head}${chunk.repeat(4)}0\r\n\r\n`);
  await eventually(() => expect(seen).toEqual(['/c 131072']));
});

test('a client that resets its connection, an answer unread, has asked what came before', async () => {
  const seen = noting();
  const client = stand.client();
  client.write(post('/first', ''));
  await once(client, 'readable');
  client.write(post('/second', 'hello'), () => client.destroy());
  await eventually(() => expect(seen).toEqual(['/first 0', '/second 5']));
  await eventually(() => expect(stand.connections.size).toBe(0));
});

test('an answer that has begun is broken off at once when its client is gone', async () => {
  let provider: net.Socket | null = null;
  stand = new Stand((socket) => {
    provider = socket;
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\n\r\n: an event stream\n'));
  });
  const client = stand.client();
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(client, 'readable');
  client.destroy();
  await eventually(() => expect(stand.connections.size).toBe(0), { timeoutMs: 2_000 });
  expect(stand.served).toMatchObject([{ status: 200 }]);
  (provider as net.Socket | null)?.destroy();
});

test('a provider that does not answer keeps no place for a client that is gone', async () => {
  const seen = noting(false);
  sendAndClose(post('/', 'hello'));
  await eventually(() => expect(seen).toHaveLength(1));
  await eventually(() => expect(stand.connections.size).toBe(0), { timeoutMs: 10_000 });
  expect(stand.served).toMatchObject([{ status: 499 }]);
});
