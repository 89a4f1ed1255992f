/**
 * What an HTTP/2 client can take of an address, and what it leaves behind: however its connections end, nothing; and
 * whatever it asks for, somebody else's request goes through meanwhile.
 */
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import type net from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import {
  block,
  bytes,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  Http2Client,
  PREFACE,
  REQUEST,
  SETTINGS,
  text,
} from './http2-client.js';
import { Stand, type StandOptions } from './stand.js';
import { TlsStand } from './tls-stand.js';

const GOOD = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood';
/** Larger than any buffer between us and a client. */
const WINDOW = 2 ** 30;

let stand: Stand;
let secure: TlsStand;
afterEach(() => {
  secure?.close();
  stand?.close();
});

function stands(provider: (socket: net.Socket) => void, options: StandOptions = {}): void {
  stand = new Stand(provider, options);
  secure = new TlsStand(stand);
}

/** Bytes that `endless` had to say. */
let said = 0;

/** Answers `/good`, and anything else with bytes that have no end, as fast as they are taken. */
function endless(socket: net.Socket): void {
  const chunk = `8000\r\n${'x'.repeat(0x8000)}\r\n`;
  socket.on('error', () => socket.destroy());
  socket.on('data', (asked: Buffer) => {
    if (asked.includes('/good')) {
      socket.write(GOOD);
      return;
    }
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    const more = () => {
      do said += chunk.length;
      while (socket.write(chunk));
    };
    socket.on('drain', more);
    more();
  });
}

/** Between two looks nobody had more to say. */
async function allBuffersFull(): Promise<void> {
  let before = -1;
  const look = () => {
    const more = said - before;
    before = said;
    expect(more).toBe(0);
  };
  await eventually(look, { intervalMs: 50 });
}

function ask(session: ClientHttp2Session, path: string, fields = {}): ClientHttp2Stream {
  const stream = session.request({ ':path': path, ...fields });
  stream.on('error', () => undefined);
  return stream;
}

/** The status, or how the stream ended without one. */
function outcome(stream: ClientHttp2Stream): Promise<number | string> {
  return new Promise((resolve) => {
    stream.on('response', (headers) => resolve(Number(headers[':status'])));
    stream.on('close', () => resolve(`ended with ${stream.rstCode}`));
    stream.resume();
  });
}

/** Asks 90 times at once, of a head that has one large field `repeated` times, and again when all is answered. */
async function hog(repeated: number, batches: number): Promise<void> {
  const client = new Http2Client(await secure.connect());
  const head = (id: number, ...more: Buffer[]) =>
    frame(HEADERS, END_STREAM | END_HEADERS, id, bytes(block(...REQUEST), ...more));
  let id = 1;
  const indexed = bytes([0x40], text('x'), text('y'.repeat(3_900))); // a byte each, from then on
  client.send(PREFACE, frame(SETTINGS, 0, 0), head(id, indexed));
  for (let batch = 0; batch < batches; batch++) {
    const over = () => client.heard.filter((words) => /^(answer|RST)/.test(words)).length;
    const before = over();
    const ids = Array.from({ length: 90 }, () => (id += 2));
    client.send(...ids.map((one) => head(one, Buffer.alloc(repeated, 0xbe))));
    await new Promise<void>((resolve) => {
      client.onHeard = () => {
        if (over() >= before + ids.length) resolve();
      };
    });
  }
  client.close();
}

describe.runIf(has('openssl'))('an HTTP/2 client', () => {
  test.each([
    ['resets its connection in the middle of answers', false, 'destroy'],
    ['reads nothing any more, and resets its connection', true, 'destroy'],
    ['leaves the connection half open, reading nothing', true, 'end'],
  ] as const)('that %s leaves nothing behind', async (_how, stopReading, end) => {
    stands(endless, { limits: { idleMs: 1_000 } });
    for (let i = 0; i < 8; i++) {
      const socket = secure.socket();
      const session = await secure.session({ settings: { initialWindowSize: WINDOW } }, socket);
      session.setLocalWindowSize(WINDOW);
      const streams = Array.from({ length: 20 }, () => ask(session, '/'));
      await outcome(streams[0] as ClientHttp2Stream);
      if (stopReading) {
        (socket as unknown as { _handle: { readStop(): void } })._handle.readStop();
        await allBuffersFull();
      }
      socket[end]();
    }
    await eventually(() => expect([secure.front.size, secure.front.streams]).toEqual([0, 0]));
    expect(await outcome(ask(await secure.session(), '/good'))).toBe(200);
  });

  test('with more streams than an address has is refused them, and no other client is', async () => {
    stands(endless, { limits: { streams: 150 } });
    const hogs = await Promise.all([1, 2, 3].map(() => secure.session()));
    const asked = hogs.flatMap((session) =>
      Array.from({ length: 100 }, () => ask(session, '/never').on('error', () => undefined)),
    );
    const found = await Promise.all(asked.map(outcome));
    const refused = found.filter((one) => one === 'ended with 7').length; // REFUSED_STREAM
    expect(refused).toBe(146); // for each has four, whatever the others have
    expect(secure.front.streams).toBeLessThanOrEqual(154);
    const neighbour = await secure.session();
    for (let i = 0; i < 20; i++) expect(await outcome(ask(neighbour, '/good'))).toBe(200);
    for (const hog of hogs) hog.destroy();
    await eventually(() => expect(secure.front.streams).toBe(0));
  });

  test('that repeats one large field a thousand times is read no further than a head may be', async () => {
    stands(endless);
    const large = 'x'.repeat(3_900);
    const names = Array.from({ length: 10 }, (_, i) => [`x-${i}`, large]);
    const hog = await secure.session({ maxSendHeaderBlockLength: 1 << 20 });
    const bombs = Array.from({ length: 90 }, () =>
      outcome(ask(hog, '/', Object.fromEntries(names))),
    );
    const neighbour = await secure.session();
    expect(await outcome(ask(neighbour, '/good'))).toBe(200);
    expect([...new Set(await Promise.all(bombs))]).toEqual([431]);
    expect(stand.served.map(({ target }) => target)).toEqual(['/good']);
  });

  test.each([
    ['small heads', 0],
    ['heads as large as they may be', 4],
    ['heads that are larger than they may be', 120],
  ])('that asks for much at once, with %s, keeps no neighbour waiting', async (_what, repeated) => {
    stands((socket) => {
      socket.on('error', () => socket.destroy());
      socket.on('data', () => socket.write(GOOD));
    });
    const neighbour = await secure.session();
    let hogging = true;
    const hogs = Promise.all([1, 2, 3].map(() => hog(repeated, 5))).then(() => {
      hogging = false;
    });
    let answered = 0;
    for (; hogging; answered++) expect(await outcome(ask(neighbour, '/good'))).toBe(200);
    await hogs;
    // A turn for each of theirs would be 15: as many as they send at once.
    expect(answered).toBeGreaterThan(60);
  });
});
