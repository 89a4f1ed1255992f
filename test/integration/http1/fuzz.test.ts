/**
 * Damaged requests through the whole forwarder, cut into pieces at random, to a provider that is Node's own parser:
 * it never meets what it can't read, every request that it sees carries the identity that we gave it and no other,
 * and the next client is answered as if nothing had been.
 */
import { afterAll, expect } from 'vitest';
import { connection } from '../../support/http-requests.js';
import { fc, property } from '../../support/property.js';
import { httpProvider, readToEnd, Stand } from './stand.js';

const IDENTITY = 'X-PV-Client: consumer\r\nX-PV-Role: operator\r\n';

const wrong: string[] = [];
const provider = httpProvider((asked, answer) => {
  const names = asked.rawHeaders.filter((name, i) => i % 2 === 0 && /^x[-_]pv/i.test(name));
  const { 'x-pv-client': client, 'x-pv-role': role } = asked.headers;
  if (names.length !== 2 || client !== 'consumer' || role !== 'operator') {
    wrong.push(JSON.stringify(asked.rawHeaders));
  }
  asked.on('data', () => undefined);
  asked.on('end', () => answer.end(asked.url));
});
let broken = '';
/** Methods may be any word, but llhttp knows only some. */
const EXTENSION = /^[\w!#$%&'*+.^`|~-]+ \S+ HTTP\/1\.1\r\n(.*\r\n)?X-PV-Client: consumer\r\n/s;
provider.server.on(
  'clientError',
  (error: Error & { code?: string; rawPacket?: Buffer }, socket) => {
    const text = error.rawPacket?.toString('latin1') ?? '';
    if (error.code === 'HPE_INVALID_EOF_STATE') {
      socket.destroy(); // the client ended in the middle, and so did we
      return;
    }
    const unknown = error.code === 'HPE_INVALID_METHOD' && EXTENSION.test(text);
    if (error.code?.startsWith('HPE_') && !unknown) broken = `${error.code}: ${text}`;
    socket.destroy();
  },
);

const stand = new Stand(provider, { lines: IDENTITY, limits: { headMs: 60_000 } });
afterAll(() => stand.close());

property(
  'nothing that a client sends confuses a provider, or touches another client',
  async (holds) => {
    const cuts = fc.array(fc.nat(300), { maxLength: 5 });
    await holds(
      fc.asyncProperty(connection, cuts, async (bytes, places) => {
        const socket = stand.client();
        const all = readToEnd(socket);
        const edges = [0, ...places.filter((at) => at < bytes.length), bytes.length].sort(
          (a, b) => a - b,
        );
        for (let i = 0; i + 1 < edges.length; i++) {
          if (!socket.destroyed) socket.write(bytes.subarray(edges[i], edges[i + 1]));
          await new Promise((resolve) => setImmediate(resolve));
        }
        socket.end();
        const text = await all;
        expect(text).toMatch(/^(HTTP\/1.1 \d\d\d |$)/);
        const other = stand.client();
        const answer = readToEnd(other);
        other.write('GET /sound HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
        expect(await answer).toMatch(/^HTTP\/1.1 200 OK\r\n.*\r\n\r\n\/sound$/s);
        for (const one of [socket, other]) one.destroy();
        expect([broken, wrong]).toEqual(['', []]);
      }),
      { runs: 1_000 },
    );
  },
);
