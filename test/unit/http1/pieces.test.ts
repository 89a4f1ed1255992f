/** Bytes come in pieces, cut anywhere: what is read of them does not depend on where. */
import { expect } from 'vitest';
import { BodyReader, CHUNKED } from '../../../src/http1/body-reader.js';
import { MORE } from '../../../src/http1/fields.js';
import { DEFAULT_LIMITS, type Limits } from '../../../src/http1/limits.js';
import { RequestHead } from '../../../src/http1/request-head.js';
import { ResponseHead } from '../../../src/http1/response-head.js';
import { connection } from '../../support/http-requests.js';
import { fc, property } from '../../support/property.js';

const TIGHT: Limits = { ...DEFAULT_LIMITS, head: 64, fields: 2 };

for (const [name, limits] of Object.entries({ usual: DEFAULT_LIMITS, tight: TIGHT })) {
  property(`a head, read or refused, stays so whatever follows (${name} limits)`, async (holds) => {
    const head = new RequestHead();
    await holds(
      fc.property(connection, (bytes) => {
        let last: ReturnType<RequestHead['read']> = MORE;
        let to = 0;
        for (let end = 1; end <= bytes.length; end++) {
          const found = head.read(bytes, 0, end, limits);
          if (last === MORE) {
            to = head.to;
          } else if (last === null) {
            expect([found, head.to]).toEqual([null, to]);
          } else {
            expect(found).not.toBeNull();
            expect(found).not.toBe(MORE);
          }
          last = found;
          if (found === null) to = head.to;
        }
        if (last === null) expect(to).toBeLessThanOrEqual(limits.head + 2);
      }),
      { runs: 300 },
    );
  });
}

property('an answer is read or refused, and nothing else, whatever the bytes', async (holds) => {
  const answer = new ResponseHead();
  const line = fc.constantFrom(
    ...['HTTP/1.1 200 OK', 'HTTP/1.0 204', 'HTTP/1.1 101 X', 'HTTP/1.1 99 X', 'HTTP/1.1 2000'],
    ...[
      'Content-Length: 3',
      'Content-Length: 4',
      'Transfer-Encoding: chunked',
      'Connection: close',
    ],
    ...['Keep-Alive: timeout=5', 'X: a\nb', ' folded', 'X : a', 'Transfer-Encoding: gzip, chunked'],
  );
  await holds(
    fc.property(fc.array(line, { maxLength: 5 }), fc.string(), (lines, tail) => {
      const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n${tail}`, 'latin1');
      const found = answer.read(bytes, 0, bytes.length, DEFAULT_LIMITS);
      if (found !== null) return;
      expect(answer.to).toBeLessThanOrEqual(bytes.length);
      expect(answer.status).toBeGreaterThanOrEqual(100);
      expect(answer.status).toBeLessThan(600);
    }),
    { runs: 3_000 },
  );
});

const chunk = fc.tuple(
  fc.string({ minLength: 1, maxLength: 40 }),
  fc.constantFrom('', ';a=b', ';x'),
);

property('chunks come out as they went in, however they are cut', async (holds) => {
  const reader = new BodyReader();
  const pieces = fc.array(chunk, { maxLength: 6 });
  const cuts = fc.array(fc.nat(400), { maxLength: 8 });
  await holds(
    fc.property(pieces, cuts, fc.boolean(), (chunks, places, trailers) => {
      const data = chunks.map(([text]) => Buffer.from(text));
      const coded = data.flatMap((bytes, i) => [
        Buffer.from(`${bytes.length.toString(16)}${chunks[i]?.[1]}\r\n`),
        ...[bytes, Buffer.from('\r\n')],
      ]);
      const end = trailers ? '0\r\nX-T: 1\r\nContent-Length: 9\r\n\r\n' : '0\r\n\r\n';
      const bytes = Buffer.concat([...coded, Buffer.from(`${end}NEXT`)]);
      const edges = [0, ...places.filter((at) => at < bytes.length), bytes.length].sort(
        (a, b) => a - b,
      );
      const found: Buffer[] = [];
      reader.begin(CHUNKED, 0);
      let used = 0;
      for (let i = 0; i + 1 < edges.length && !reader.done; i++) {
        const [from, to] = [edges[i] as number, edges[i + 1] as number];
        used = reader.read(bytes, from, to, {
          data: (buffer, a, b) => found.push(Buffer.from(buffer.subarray(a, b))),
        });
        expect(reader.fault).toBeNull();
      }
      expect(reader.done).toBe(true);
      expect(Buffer.concat(found).equals(Buffer.concat(data))).toBe(true);
      expect(bytes.toString('latin1', used).endsWith('NEXT')).toBe(true);
      expect(bytes.length - used).toBe(4);
      expect(reader.trailers.toString()).toBe(trailers ? 'X-T: 1\r\n' : '');
    }),
    { runs: 1_000 },
  );
});
