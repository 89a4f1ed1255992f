/**
 * The codec beside Node's own parser (llhttp, in its strict mode): whatever we accept, it takes for the same requests,
 * with the same heads and the same bodies. What we refuse and it accepts is no fault of either: we are stricter.
 */
import http from 'node:http';
import { Duplex } from 'node:stream';
import { expect } from 'vitest';
import { BodyReader, CHUNKED, COUNTED, NO_BODY } from '../../../src/http1/body-reader.js';
import { MORE } from '../../../src/http1/fields.js';
import { DEFAULT_LIMITS } from '../../../src/http1/limits.js';
import { RequestHead } from '../../../src/http1/request-head.js';
import { connection } from '../../support/http-requests.js';
import { fc, property } from '../../support/property.js';

interface Seen {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly string[];
  readonly body: string;
}

interface Reading {
  readonly requests: Seen[];
  /** All of it was read: it ended in the middle of nothing, nothing was refused, and nobody said that it was the last. */
  readonly clean: boolean;
}

function oursReads(bytes: Buffer): Reading {
  const head = new RequestHead();
  const body = new BodyReader();
  const requests: Seen[] = [];
  let at = 0;
  while (at < bytes.length) {
    const refusal = head.read(bytes, at, bytes.length, DEFAULT_LIMITS);
    if (refusal === MORE) return { requests, clean: false };
    if (refusal !== null) return { requests, clean: false };
    const { fields, framing } = head;
    const lines: string[] = [];
    for (let i = 0; i < fields.count; i++) {
      lines.push(bytes.toString('latin1', fields.nameFrom(i), fields.nameTo(i)));
      lines.push(bytes.toString('latin1', fields.valueFrom(i), fields.valueTo(i)));
    }
    const { method } = head;
    const line = bytes.toString('latin1', head.from, head.lineTo);
    const chunks: string[] = [];
    body.begin(framing.chunked ? CHUNKED : head.hasBody ? COUNTED : NO_BODY, framing.length);
    at = head.to;
    if (!body.done) {
      at = body.read(bytes, at, bytes.length, {
        data: (buffer, from, to) => chunks.push(buffer.toString('latin1', from, to)),
      });
    }
    if (!body.done) return { requests, clean: false };
    requests.push({
      method,
      target: line.split(' ')[1] as string,
      fields: lines,
      body: chunks.join(''),
    });
    if (!head.keepsAlive) return { requests, clean: false };
  }
  return { requests, clean: true };
}

async function nodeReads(bytes: Buffer): Promise<Reading> {
  const requests: (Seen & { body: string })[] = [];
  let clean = true;
  const server = http.createServer({ requireHostHeader: false });
  const take: http.RequestListener = (asked, answer) => {
    const { method = '', url: target = '', rawHeaders: fields } = asked;
    const seen = { method, target, fields, body: '' };
    requests.push(seen);
    asked.on('data', (chunk: Buffer) => {
      seen.body += chunk.toString('latin1');
    });
    answer.end();
  };
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, take);
  server.on('clientError', () => {
    clean = false;
  });
  const socket = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  server.emit('connection', socket);
  socket.push(bytes);
  for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => setImmediate(resolve));
  socket.destroy();
  return { requests, clean };
}

/** llhttp knows a list of methods, and takes no length twice, not even the same (RFC 9110, 8.6 allows both). */
function isOursAlone({ method, fields }: Seen): boolean {
  const lengths = fields.filter((text, i) => i % 2 === 0 && /^content-length$/i.test(text));
  return !http.METHODS.includes(method) || lengths.length > 1;
}

/** Found by random seeds once. */
const FOUND = [
  'POST / HTTp/1.1\r\nHost: a\r\n\r\n',
  // A name of an extension is a token.
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;\x80=y\r\nhello\r\n0\r\n\r\n',
  // We close (RFC 9112, 9.3), llhttp goes on.
  'GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\n\r\n',
];

property('what we accept, Node.js takes for the very same requests', async (holds) => {
  let accepted = 0;
  await holds(
    fc.asyncProperty(connection, async (bytes) => {
      const ours = oursReads(bytes);
      const theirs = await nodeReads(bytes);
      accepted += ours.requests.length;
      const unknown = ours.requests.findIndex(isOursAlone);
      const known = unknown < 0 ? ours.requests : ours.requests.slice(0, unknown);
      expect(theirs.requests.slice(0, known.length)).toEqual(known);
      if (ours.clean && unknown < 0) {
        expect(theirs.requests).toHaveLength(ours.requests.length);
      }
    }),
    { runs: 3_000, examples: FOUND.map((text) => [Buffer.from(text, 'latin1')]) },
  );
  expect(accepted).toBeGreaterThan(100); // else nothing was compared
});
