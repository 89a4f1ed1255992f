/** HTTP/2 clients and providers that do what HTTP/2 forbids: one exchange ends, and nothing else does. */
import { once } from 'node:events';
import http2, { type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import net from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import type { LinkError } from '../../../src/kernel/errors.js';
import { Http2Front } from '../../../src/plugins/ingress/http2-front.js';
import { eventually } from '../../support/wait.js';
import { Stand, type StandOptions } from './stand.js';

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

/** A session with a front before a provider that answers each request with the next of `answers`. */
async function sessionWith(
  answers: readonly string[],
  options: StandOptions = {},
): Promise<ClientHttp2Session> {
  const left = [...answers];
  const provider = (socket: net.Socket) => {
    socket.on('data', () => socket.write(left.shift() ?? '', 'latin1'));
  };
  return (await before(new Stand(provider, options))).session;
}

/** A session with a front before that stand, and both ends of its connection. */
async function before(stand: Stand) {
  const front = new Http2Front(stand.site);
  // What TLS does is not what is tested: a plain socket is as good.
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const near = net.connect(port, '127.0.0.1');
  const [far] = (await once(server, 'connection')) as [TLSSocket];
  front.accept(far, null);
  const session = http2.connect('http://127.0.0.1', { createConnection: () => near });
  session.on('error', () => undefined);
  open.push(() => {
    session.destroy();
    front.close();
    server.close();
    stand.close();
  });
  return { session, front, near, far };
}

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
  readonly error: string | undefined;
}

function ask(session: ClientHttp2Session): Promise<Answer> {
  const stream = session.request({ ':path': '/' });
  let status: number | undefined;
  let body = '';
  let error: string | undefined;
  stream.on('response', (headers: IncomingHttpHeaders) => {
    status = Number(headers[':status']);
  });
  stream.on('data', (chunk: Buffer) => {
    body += chunk.toString('latin1');
  });
  stream.on('error', (thrown: NodeJS.ErrnoException) => {
    error = thrown.code;
  });
  return new Promise((resolve) => stream.on('close', () => resolve({ status, body, error })));
}

const GOOD = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood';

test.each([
  ['a field of one hop', 'TE: gzip'],
  ['a field twice that may be there once', 'ETag: "a"\r\nETag: "b"'],
])('information with %s is left out, and the answer passes', async (_what, lines) => {
  const session = await sessionWith([`HTTP/1.1 103 Early Hints\r\n${lines}\r\n\r\n${GOOD}`, GOOD]);
  expect(await ask(session)).toEqual({ status: 200, body: 'good', error: undefined });
  expect((await ask(session)).body).toBe('good');
});

test.each([
  ['a field of one hop', 'TE: gzip'],
  ['a field twice that may be there once', 'ETag: "a"\r\nETag: "b"'],
])('an answer with %s ends its stream alone', async (_what, lines) => {
  const bad = `HTTP/1.1 200 OK\r\n${lines}\r\nContent-Length: 3\r\n\r\nbad`;
  const session = await sessionWith([bad, GOOD]);
  expect((await ask(session)).body).not.toBe('good');
  expect((await ask(session)).body).toBe('good');
});

test('trailers with a field twice that may be there once are left out', async () => {
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n';
  const session = await sessionWith([`${chunked}ETag: "a"\r\nETag: "b"\r\n\r\n`, GOOD]);
  expect(await ask(session)).toEqual({ status: 200, body: 'good', error: undefined });
  expect((await ask(session)).body).toBe('good');
});

test.each([
  ['without a word', http2.constants.NGHTTP2_NO_ERROR],
  ['for it changed its mind', http2.constants.NGHTTP2_CANCEL],
])(
  'a client that ends its stream %s while it waits for the provider is forgotten',
  async (_how, code) => {
    let away = true;
    let waits = () => {};
    let answer = () => {};
    const isWaiting = new Promise<void>((resolve) => {
      waits = resolve;
    });
    const isKnown = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const unreachable = async (): Promise<LinkError | null> => {
      const found = away
        ? ({ code: 'provider-not-running', message: 'It is away.' } as const)
        : null;
      waits();
      await isKnown;
      return found;
    };
    const session = await sessionWith([GOOD], { unreachable });
    const stream = session.request({ ':path': '/', ':method': 'POST', 'content-length': '100000' });
    stream.on('error', () => undefined);
    stream.write(Buffer.alloc(30_000));
    await isWaiting;
    stream.close(code);
    // Frames are read in their order: who answers a ping has read what came before it.
    await new Promise((resolve) => session.ping(resolve));
    answer();
    away = false;
    await eventually(async () => expect((await ask(session)).body).toBe('good'));
  },
);

test('trailers of a request reach the provider behind its body', async () => {
  let heard = '';
  const provider = (socket: net.Socket) => {
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
      if (heard.endsWith('\r\n\r\n') && heard.includes('\r\n0\r\n')) socket.write(GOOD);
    });
  };
  const { session } = await before(new Stand(provider, { via: 'pv-xconnect' }));
  const fields = { ':path': '/', ':method': 'POST', te: 'trailers' };
  const stream = session.request(fields, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7', 'x-pv-role': 'root' }));
  stream.end('hello');
  stream.resume();
  await new Promise((resolve) => stream.on('close', resolve));
  expect(heard).toMatch(/^POST \/ HTTP\/1.1\r\n.*\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n$/s);
  expect(heard).toContain('\r\nTE: trailers\r\nConnection: TE\r\nVia: 2.0 pv-xconnect\r\n');
  expect(stream.sentHeaders).toMatchObject({ te: 'trailers' });
});

test('what a client asked in full before it left is asked all the same', async () => {
  const seen: string[] = [];
  let reach: (error: null) => void = () => undefined;
  const reached = new Promise<null>((resolve) => {
    reach = resolve;
  });
  const provider = (socket: net.Socket) => {
    socket.on('data', (chunk: Buffer) => {
      seen.push(chunk.toString('latin1').slice(0, 6));
      socket.write(GOOD);
    });
  };
  const stand = new Stand(provider, { unreachable: () => reached });
  const { session, front, near, far } = await before(stand);
  const stream = session.request({ ':path': '/', ':method': 'POST' });
  stream.on('error', () => undefined);
  stream.end('hello');
  await once(stream, 'finish');
  await eventually(() => expect(far.bytesRead).toBe(near.bytesWritten));
  near.destroy();
  await eventually(() => expect(front.size).toBe(0));
  reach(null);
  await eventually(() => expect(seen).toEqual(['POST /']));
});
