/** One request after the other through the forwarder: which connection it goes over, and what comes of it. */
import type net from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { eventually, pause } from '../../support/wait.js';
import { exchange, httpProvider, readToEnd, Stand, type StandOptions } from './stand.js';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const get = (path: string, lines = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`;
const last = (path: string) => get(path, 'Connection: close\r\n');

let stand: Stand;
afterEach(() => stand?.close());

function stands(provider: (socket: net.Socket) => void, options: StandOptions = {}): Stand {
  stand = new Stand(provider, options);
  return stand;
}

/** Answers each head that it reads with what `answer` says; null ends the connection. */
function answering(answer: (text: string, connection: number, request: number) => string | null) {
  let connections = 0;
  return (socket: net.Socket) => {
    const connection = connections++;
    let requests = 0;
    let text = '';
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (!text.includes('\r\n\r\n')) return;
      const said = answer(text, connection, requests++);
      text = '';
      if (said === null) socket.destroy();
      else socket.write(said, 'latin1');
    });
  };
}

describe('connections to a provider', () => {
  test('are kept, and used by one client after the other', async () => {
    stands(answering(() => OK));
    for (let i = 0; i < 5; i++) expect(await exchange(stand, last('/'))).toMatch(/ok$/);
    expect(stand.made).toBe(1);
  });

  test('that close before an answer are made anew for what may be repeated, once', async () => {
    stands(answering((_text, connection, request) => (request > 0 && connection < 1 ? null : OK)));
    await exchange(stand, last('/'));
    expect(await exchange(stand, last('/'))).toMatch(/ 200 /);
    expect(stand.made).toBe(2);
  });

  test('that close again are answered for with 502', async () => {
    let first = true;
    stands(
      answering(() => {
        const said = first ? OK : null;
        first = false;
        return said;
      }),
    );
    await exchange(stand, last('/'));
    expect(await exchange(stand, last('/'))).toMatch(/^HTTP\/1.1 502 /);
    expect(stand.made).toBe(2);
  });

  test.each([
    ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n', 502, 1],
    ['PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi', 200, 2],
  ])('repeat %j only where that does no harm', async (request, status, made) => {
    stands(answering((_text, connection, count) => (count > 0 && connection < 1 ? null : OK)));
    await exchange(stand, last('/'));
    expect(await exchange(stand, request)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(stand.made).toBe(made);
  });

  test('that were not used before are not tried again', async () => {
    stands(answering(() => null));
    expect(await exchange(stand, last('/'))).toMatch(/^HTTP\/1.1 502 /);
    expect(stand.made).toBe(1);
  });

  test('on which a byte came of which nobody asked are closed', async () => {
    stands(answering((text) => (text.includes('/more') ? `${OK}HTTP/1.1 200 OK\r\n` : OK)));
    expect(await exchange(stand, last('/more'))).toMatch(/ok$/);
    expect(await exchange(stand, last('/'))).toMatch(/ok$/);
    expect(stand.made).toBe(2);
  });

  test('of which the provider says how long it keeps them are left in time', async () => {
    stands(
      answering(() => `HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n`),
    );
    await exchange(stand, last('/'));
    await exchange(stand, last('/'));
    expect(stand.made).toBe(2);
  });

  test('are given up when the provider is another', async () => {
    stands(answering(() => OK));
    await exchange(stand, last('/'));
    stand.pool.changed();
    await exchange(stand, last('/'));
    expect(stand.made).toBe(2);
  });
});

describe('requests', () => {
  test('that come at once are answered in their order', async () => {
    const provider = httpProvider(({ url = '' }, answer) => {
      // The first answer takes a while.
      setTimeout(() => answer.end(`<${url}>`), url === '/slow' ? 50 : 0);
    });
    stands(provider);
    const all = await exchange(stand, get('/slow') + get('/fast') + last('/end'));
    expect(all.match(/<[^>]*>/g)).toEqual(['</slow>', '</fast>', '</end>']);
  });

  test('wait for 100 (Continue) where they say so', async () => {
    const provider = httpProvider((asked, answer) => {
      asked.on('data', () => undefined);
      asked.on('end', () => answer.end('done'));
    });
    stands(provider);
    const socket = stand.client();
    const all = readToEnd(socket);
    let heard = '';
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString();
    });
    socket.write(
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n',
    );
    await eventually(() => expect(heard).toBe('HTTP/1.1 100 Continue\r\n\r\n'));
    socket.write('hi');
    expect(await all).toMatch(/ 200 OK\r\n.*done/s);
  });

  test('are answered before they have ended, and their connection with that', async () => {
    stands(answering(() => 'HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n'));
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n';
    const all = await exchange(stand, [head, 'x'.repeat(1000)]);
    expect(all).toMatch(/^HTTP\/1.1 413 Too Large\r\n.*Connection: close\r\n\r\n$/s);
  });

  test('of HTTP/1.0 are answered to the end of the connection, or with a length', async () => {
    stands(
      answering((text) =>
        text.includes('/chunks')
          ? 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'
          : OK,
      ),
    );
    const chunks = await exchange(stand, 'GET /chunks HTTP/1.0\r\n\r\n');
    expect(chunks).toMatch(/^HTTP\/1.1 200 OK\r\nDate: .*\r\nConnection: close\r\n\r\nok$/);
    const kept = 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n';
    const two = await exchange(stand, `${kept}GET / HTTP/1.0\r\n\r\n`);
    expect(two.match(/\r\n\r\nok/g)).toHaveLength(2);
  });

  test('for another protocol carry bytes both ways once it is spoken', async () => {
    stands((socket) => {
      socket.once('data', () => {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nhi',
        );
        socket.pipe(socket);
      });
    });
    const upgrade = get('/', 'Upgrade: echo\r\nConnection: upgrade\r\n');
    const all = await exchange(stand, [upgrade, 'first ', 'second'], true);
    expect(all).toMatch(/^HTTP\/1.1 101 Switching Protocols\r\n.*\r\n\r\nhifirst second$/s);
  });

  test('are told to the access log, each once', async () => {
    stands(answering((text) => (text.includes('/bad') ? 'nonsense\r\n\r\n' : OK)));
    await exchange(stand, get('/one?x') + last('/bad'));
    expect(stand.served).toMatchObject([
      { method: 'GET', target: '/one?x', host: 'a', status: 200, bytes: 2 },
      { method: 'GET', target: '/bad', status: 502, bytes: 0 },
    ]);
  });
});

describe('time', () => {
  const silent = (socket: net.Socket) => socket.resume();

  test('for a head is bounded, however many bytes of it come', async () => {
    stands(silent, { limits: { headMs: 300 } });
    const socket = stand.client();
    const all = readToEnd(socket);
    const timer = setInterval(() => socket.write('G'), 50);
    expect(await all).toMatch(/^HTTP\/1.1 40[08] /);
    clearInterval(timer);
  });

  test('for a body begins anew with every byte', async () => {
    const provider = httpProvider((asked, answer) => {
      asked.on('data', () => undefined);
      asked.on('end', () => answer.end('done'));
    });
    stands(provider, { limits: { idleMs: 400 } });
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 6\r\n\r\n';
    const socket = stand.client();
    const all = readToEnd(socket);
    socket.write(head);
    for (let i = 0; i < 6; i++) {
      await pause(150); // a client that is slow, but never for as long as `idleMs`
      socket.write('x');
    }
    expect(await all).toMatch(/ 200 OK\r\n.*done/s);
  });

  test('without a byte of a body ends in 408', async () => {
    stands(silent, { limits: { idleMs: 200 } });
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nx';
    expect(await exchange(stand, head)).toMatch(/^HTTP\/1.1 408 /);
  });

  test('without an answer ends in 504, and in the middle of one with the connection', async () => {
    stands(silent, { limits: { answerMs: 200 } });
    expect(await exchange(stand, last('/'))).toMatch(/^HTTP\/1.1 504 /);
    stand.close();
    const half = 'HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 10\r\n\r\nhalf';
    stands(
      answering(() => half),
      { limits: { silenceMs: 200 } },
    );
    expect(await exchange(stand, get('/'))).toBe(half);
  });

  test('of a client that reads nothing is bounded, and it costs no memory', async () => {
    let sent = 0;
    stands(
      (socket) => {
        socket.on('error', () => socket.destroy());
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
          const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
          const more = () => {
            while (socket.write(chunk)) sent += chunk.length;
          };
          socket.on('drain', more);
          more();
        });
      },
      { limits: { idleMs: 300 } },
    );
    const socket = stand.client();
    socket.on('error', () => undefined); // it is broken off
    socket.pause();
    socket.write(get('/'));
    await eventually(() => expect(stand.connections.size).toBe(1));
    await eventually(() => expect(stand.connections.size).toBe(0));
    expect(sent).toBeLessThan(8 * 1024 * 1024);
    expect(stand.timeouts).toEqual(['idle-timeout']);
    socket.destroy();
  });

  test('within an answer is the provider’s for as long as it likes, where that is said', async () => {
    let say: (text: string) => void = () => undefined;
    stands(
      (socket) => {
        socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nDate: now\r\n\r\n'));
        say = (text) => socket.end(text);
      },
      { limits: { idleMs: 100, answerMs: 100, silenceMs: Number.POSITIVE_INFINITY } },
    );
    setTimeout(() => say('data: late\n'), 600); // long after the other bounds
    expect(await exchange(stand, last('/'))).toMatch(/data: late\n/);
    expect(stand.timeouts).toEqual([]);
  });

  test('that ran out is told to the access log, and counted', async () => {
    stands(silent, { limits: { answerMs: 100 } });
    await exchange(stand, last('/'));
    expect(stand.served).toMatchObject([{ status: 504, cut: 'answer-timeout' }]);
    expect(stand.timeouts).toEqual(['answer-timeout']);
    stand.close();
    stands(
      answering(() => 'HTTP/1.1 200 OK\r\n\r\nhalf'),
      { limits: { silenceMs: 100 } },
    );
    await exchange(stand, last('/'));
    expect(stand.served).toMatchObject([{ status: 200, bytes: 4, cut: 'silence-timeout' }]);
    expect(stand.timeouts).toEqual(['silence-timeout']);
  });

  test('between two requests is bounded too', async () => {
    stands(
      answering(() => OK),
      { limits: { idleMs: 200 } },
    );
    expect(await exchange(stand, get('/'))).toMatch(/ok$/);
  });
});
