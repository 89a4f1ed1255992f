/** The grammar of HTTP/1.1, case by case, through the forwarder: what a provider gets, to the byte. */
import type net from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import { ANSWERS } from './grammar-answers.js';
import { GRAMMAR, type Outcome } from './grammar-requests.js';
import { exchange, Stand } from './stand.js';

const CRLF = /\|/g;
const wire = (text: string) => text.replace(CRLF, '\r\n');

/** A provider that takes a connection apart by what heads say, and knows nothing of HTTP but that. */
class Recorder {
  seen: string[] = [];

  readonly accept = (socket: net.Socket): void => {
    let text = '';
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      for (let to = endOf(text); to > 0; to = endOf(text)) {
        this.seen.push(text.slice(0, to));
        text = text.slice(to);
        socket.write('HTTP/1.1 204 Noted\r\n\r\n');
      }
    });
  };
}

/** Behind the first request; 0: it is not all there. */
function endOf(text: string): number {
  const head = text.indexOf('\r\n\r\n') + 4;
  if (head < 4) return 0;
  const length = /\r\nContent-Length:[ \t]*(\d+)/i.exec(text.slice(0, head));
  if (length) {
    const to = head + Number(length[1]);
    return text.length < to ? 0 : to;
  }
  if (!/\r\nTransfer-Encoding: chunked\r\n/.test(text.slice(0, head))) return head;
  let at = head;
  for (;;) {
    const size = /^([0-9a-f]+)\r\n/.exec(text.slice(at));
    if (!size) return 0;
    at += size[0].length;
    const bytes = Number.parseInt(size[1] as string, 16);
    if (bytes === 0) break;
    at += bytes + 2;
  }
  if (text.startsWith('\r\n', at)) return at + 2;
  const trailers = text.indexOf('\r\n\r\n', at);
  return trailers < 0 ? 0 : trailers + 4;
}

/** A request that was passed on is answered with 204; what was refused, otherwise. */
function found(answer: string, seen: readonly string[]): Outcome[] {
  const statuses = [...answer.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) =>
    Number(status),
  );
  const left = [...seen];
  return statuses.map((status) => (status === 204 ? (left.shift() ?? 204) : status));
}

describe('a request:', () => {
  const recorder = new Recorder();
  const stand = new Stand(recorder.accept);
  afterAll(() => stand.close());

  test.each(GRAMMAR.map(([name, sent, ...outcomes]) => ({ name, sent, outcomes })))(
    '$name',
    async ({ sent, outcomes }) => {
      recorder.seen = [];
      const answer = await exchange(stand, wire(sent), true);
      const expected = outcomes.map((one) => (typeof one === 'string' ? wire(one) : one));
      expect(found(answer, recorder.seen)).toEqual(expected);
    },
  );

  test('is tried under one name each', () => {
    expect(new Set(GRAMMAR.map(([name]) => name)).size).toBe(GRAMMAR.length);
  });
});

const ASKED = 'GET / HTTP/1.1|Host: a|Connection: close||';

describe('an answer:', () => {
  test.each(ANSWERS.map(([name, said, read, request = ASKED]) => ({ name, said, read, request })))(
    '$name',
    async ({ said, read, request }) => {
      const stand = new Stand((socket) => {
        socket.on('error', () => socket.destroy());
        socket.once('data', () => socket.end(wire(said), 'latin1'));
      });
      const answer = await exchange(stand, wire(request));
      if (read === 502) expect(answer).toMatch(/^HTTP\/1\.1 502 /m);
      else expect(answer).toBe(wire(read));
      stand.close();
    },
  );
});
