/** The runtime's graph over a raw socket: every legal answer, every other one, and a runtime that comes and goes. */
import type net from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Link } from '../../../src/graph/link.js';
import { bootTicks } from '../../../src/kernel/boot-clock.js';
import { createLogger } from '../../../src/kernel/log.js';
import { unixLink } from '../../support/link.js';
import { fc, property } from '../../support/property.js';
import { eventually, nextTick, pause } from '../../support/wait.js';
import { chunked, FakeRuntime, graphBody, ok, trickle, watch } from './fake-runtime.js';

const LINK = unixLink({ consumerPid: 10, providerPid: 20 });
const BODY = graphBody(LINK);

function manyLinks(count: number): Link[] {
  return Array.from({ length: count }, (_, index) =>
    unixLink({ name: `service-${index}`, target: `/run/pv/services/é${index}.sock` }),
  );
}

async function seenFrom(answer: (socket: net.Socket, request: string) => void, options = {}) {
  const runtime = await new FakeRuntime(answer).start();
  return { runtime, seen: watch(runtime, options) };
}

describe('a legal answer of the runtime', () => {
  it.each([
    ['with a length', ok(BODY)],
    ['to the close, in HTTP/1.0', `HTTP/1.0 200 OK\r\nServer: x\r\n\r\n${BODY}`],
    ['to the close, in HTTP/1.1', `HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${BODY}`],
    ['without a reason', `HTTP/1.1 200 \r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`],
    ['in chunks of 7 with extensions and a trailer', chunked(BODY, 7)],
    ['after an interim one', `HTTP/1.1 100 Continue\r\n\r\n${ok(BODY)}`],
    ['with space around the array', ok(`\r\n ${BODY}\n`)],
    ['with a byte order mark', ok(`\ufeff${BODY}`)],
  ])('is read %s', async (_name, answer) => {
    const { seen } = await seenFrom(FakeRuntime.graph(() => answer));
    await eventually(() => expect(seen.graphs[0]?.links).toEqual([LINK]));
    expect(seen.order).toEqual(['graph']);
  });

  it.each([ok(BODY), chunked(BODY, 5), `HTTP/1.0 200 OK\r\n\r\n${BODY}`])(
    'is read byte by byte',
    async (answer) => {
      const { seen } = await seenFrom((socket) => void trickle(socket, Buffer.from(answer), 1));
      await eventually(() => expect(seen.graphs[0]?.links).toEqual([LINK]));
      expect(seen.failures).toEqual([]);
    },
  );

  property('is read wherever it is split', async (holds) => {
    const links = manyLinks(3);
    const pieces = fc.integer({ min: 1, max: 400 });
    const sizes = fc.integer({ min: 1, max: 300 });
    const whole = fc.oneof(
      sizes.map((size) => chunked(graphBody(...links), size)),
      fc.constant(ok(graphBody(...links))),
    );
    let answer = Buffer.alloc(0);
    let piece = 1;
    const { runtime, seen } = await seenFrom((socket) => void trickle(socket, answer, piece));
    await holds(
      fc.asyncProperty(whole, pieces, async (text, size) => {
        answer = Buffer.from(text);
        piece = size;
        const before = runtime.requests.length;
        const graphs = seen.graphs.length;
        seen.source.refresh('the next example');
        await eventually(() => expect(runtime.requests.length).toBeGreaterThan(before), {
          intervalMs: 1,
        });
        await eventually(() => expect(seen.graphs.length).toBeGreaterThan(graphs), {
          intervalMs: 1,
        });
        expect(seen.graphs.at(-1)?.links).toEqual(links);
      }),
      { runs: 30 },
    );
  });

  it('may have 5,000 links and come in pieces', async () => {
    const links = manyLinks(5000);
    const bytes = Buffer.from(chunked(graphBody(...links), 10_000));
    const { seen } = await seenFrom((socket) => void trickle(socket, bytes, 4_093));
    await eventually(() => expect(seen.graphs[0]?.links).toEqual(links));
    expect(seen.failures).toEqual([]);
  });

  it('is complete with its length, though the connection stays open', async () => {
    const { runtime, seen } = await seenFrom((socket) => void socket.write(ok(BODY)));
    await eventually(() => expect(seen.graphs).toHaveLength(1));
    await eventually(() => expect(runtime.sockets.size).toBe(0));
  });

  it('may be an empty graph', async () => {
    const { seen } = await seenFrom(FakeRuntime.graph(() => ok('[]')));
    await eventually(() => expect(seen.graphs[0]?.links).toEqual([]));
  });

  it('loses one bad entry, and says so once', async () => {
    const warnings: string[] = [];
    const log = createLogger('silent');
    log.warn = (message: unknown) => void warnings.push(String(message));
    const body = `[{"consumer": 5}, ${BODY.slice(1)}`;
    const { runtime, seen } = await seenFrom(
      FakeRuntime.graph(() => ok(body)),
      { log, intervalMs: 20 },
    );
    await eventually(() => expect(runtime.count('GET')).toBeGreaterThan(2));
    expect(seen.graphs.map(({ links }) => links)).toEqual([[LINK]]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('/0: ');
  });
});

describe('an answer that makes no sense', () => {
  it.each([
    ['another status', `HTTP/1.1 500 Oops\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`],
    ['a redirection', 'HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n'],
    ['a change of protocol', 'HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'],
    ['no JSON', ok('not json')],
    ['no body', ok('')],
    ['bytes that are not UTF-8', 'latin1'],
    ['an object', ok('{"links": []}')],
    ['null', ok('null')],
    ['only entries that can not be read', ok('[{"name": "x"}]')],
    ['garbage', '\x16\x03\x01\x02garbage\r\n\r\n'],
    ['a length that is none', 'HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n[]'],
    ['a chunk that is none', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
    ['half a JSON text to the close', `HTTP/1.0 200 OK\r\n\r\n${BODY.slice(0, 40)}`],
    ['more than the bound', ok(`["${'x'.repeat(3000)}"]`)],
    ['more than the bound, unannounced', `HTTP/1.0 200 OK\r\n\r\n["${'x'.repeat(3000)}"]`],
    ['a head without end', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(20_000)}`],
  ])('is a failure: %s', async (_name, text) => {
    const answer = text === 'latin1' ? ok('["#"]').replace('#', '\xff') : text;
    const { seen } = await seenFrom((socket) => void socket.end(answer, 'latin1'), {
      maxBytes: 2000,
    });
    await eventually(() => expect(seen.order).toEqual(['failure runtime-answer']));
    expect(seen.failures[0]?.message).toMatch(/^[^\n]+\.$/);
  });

  it('leaves the last good graph, and is said once', async () => {
    let text = ok(BODY);
    const { runtime, seen } = await seenFrom(
      FakeRuntime.graph(() => text),
      { intervalMs: 20 },
    );
    await eventually(() => expect(seen.graphs).toHaveLength(1));
    text = ok('{}');
    const asked = runtime.count('GET');
    await eventually(() => expect(runtime.count('GET')).toBeGreaterThan(asked + 3));
    expect(seen.order).toEqual(['graph', 'failure runtime-answer']);
    text = ok(BODY);
    await eventually(() => expect(seen.order.at(-1)).toBe('recovered'));
    expect(seen.graphs).toHaveLength(1);
  });
});

describe('a runtime that is away', () => {
  it.each([
    ['closes without an answer', (socket: net.Socket) => void socket.end()],
    ['drops the connection', (socket: net.Socket) => void socket.destroy()],
    ['ends within the head', (socket: net.Socket) => void socket.end('HTTP/1.1 200 OK\r\nCont')],
    ['ends within the body', (socket: net.Socket) => void socket.end(ok(BODY).slice(0, -9))],
    ['ends within a chunk', (socket: net.Socket) => void socket.end(chunked(BODY, 9).slice(0, 99))],
  ])('is a failure: it %s', async (_name, answer) => {
    const { seen } = await seenFrom(answer);
    await eventually(() => expect(seen.order).toEqual(['failure runtime-away']));
  });

  it.each([
    ['accepts and says nothing', () => {}],
    ['sends half a head', (socket: net.Socket) => void socket.write('HTTP/1.1 200')],
    ['sends half a body', (socket: net.Socket) => void socket.write(ok(BODY).slice(0, -1))],
  ])('is given up after its time: it %s', async (_name, answer) => {
    const { runtime, seen } = await seenFrom(answer, { timeoutMs: 50, intervalMs: 60_000 });
    await eventually(() => expect(seen.order).toEqual(['failure runtime-away']));
    expect(seen.failures[0]?.message).toContain('0.05 s');
    seen.source.stop();
    await eventually(() => expect(runtime.sockets.size).toBe(0));
  });

  it('may even never be connected to, and a late connection is closed', async () => {
    const runtime = await new FakeRuntime(() => {}).start();
    let late: net.Socket | undefined;
    let connected = () => {};
    const isLate = new Promise<void>((resolve) => {
      connected = resolve;
    });
    const connect = async () => {
      const socket = await runtime.connect();
      await isLate;
      late ??= socket;
      return socket;
    };
    const seen = watch(runtime, { connect, timeoutMs: 20, intervalMs: 60_000 });
    await eventually(() => expect(seen.order).toEqual(['failure runtime-away']));
    connected();
    await eventually(() => expect(late?.destroyed).toBe(true));
  });

  it('is found again soon, and its graph is taken', async () => {
    const runtime = new FakeRuntime(FakeRuntime.graph(() => ok(BODY)));
    await runtime.start();
    await runtime.stop();
    const seen = watch(runtime);
    await eventually(() => expect(seen.order).toEqual(['failure runtime-away']));
    await runtime.start();
    await eventually(() => expect(seen.order.slice(1)).toEqual(['recovered', 'graph']));
  });

  it('is told apart from one that answers nonsense', async () => {
    const runtime = await new FakeRuntime(FakeRuntime.graph(() => ok('{}'))).start();
    const seen = watch(runtime, { intervalMs: 20 });
    await eventually(() => expect(seen.order).toHaveLength(1));
    await runtime.stop();
    await eventually(() => expect(seen.order).toHaveLength(2));
    await runtime.start();
    await eventually(() => expect(seen.order).toHaveLength(3));
    const answer = 'failure runtime-answer';
    expect(seen.order).toEqual([answer, 'failure runtime-away', answer]);
  });
});

describe('looking', () => {
  it('emits only what differs, and again what was doubted, with a newer stamp', async () => {
    const { runtime, seen } = await seenFrom(
      FakeRuntime.graph(() => ok(BODY)),
      { intervalMs: 20 },
    );
    const before = bootTicks();
    await eventually(() => expect(runtime.count('GET')).toBeGreaterThan(3));
    expect(seen.graphs).toHaveLength(1);
    expect(seen.graphs[0]?.stamp).toBeLessThanOrEqual(bootTicks());
    await nextTick();
    seen.source.refresh('a process is doubted');
    await eventually(() => expect(seen.graphs).toHaveLength(2));
    expect(seen.graphs[1]?.stamp).toBeGreaterThan(before);
  });

  it('takes the stamp before it asks, not when the answer comes', async () => {
    let asked = 0;
    const { seen } = await seenFrom((socket) => {
      asked = bootTicks();
      void nextTick().then(() => socket.end(ok(BODY)));
    });
    await eventually(() => expect(seen.graphs).toHaveLength(1));
    expect(asked).toBeGreaterThan(0);
    expect(seen.graphs[0]?.stamp).toBeLessThanOrEqual(asked);
  });

  it('happens once at a time, and many refreshes meanwhile are one more look', async () => {
    const held: net.Socket[] = [];
    const { runtime, seen } = await seenFrom((socket) => void held.push(socket), {
      intervalMs: 60_000,
    });
    await eventually(() => expect(held).toHaveLength(1));
    for (let i = 0; i < 100; i++) seen.source.refresh('doubt');
    held[0]?.end(ok(BODY));
    await eventually(() => expect(held).toHaveLength(2));
    held[1]?.end(ok(BODY));
    await eventually(() => expect(seen.graphs).toHaveLength(2));
    expect(runtime.count('GET')).toBe(2);
  });

  // How long the source waits until its next look is a share of the time since the last news: these are slow news.
  const late = () => pause(1_000); // slower than all looks of this test together
  it.each([
    ['begins its answer late', (socket: net.Socket) => late().then(() => socket.end(ok('[]')))],
    ['breaks off late', (socket: net.Socket) => late().then(() => socket.destroy())],
  ])('is soon done again where the runtime %s and a pid is missing', async (_how, first) => {
    const noPid = graphBody({ ...LINK, consumerPid: 0 });
    let asked = 0;
    const { seen } = await seenFrom(
      (socket) => {
        if (++asked === 1) void first(socket);
        else socket.end(ok(asked < 10 ? noPid : BODY));
      },
      { intervalMs: 60_000 },
    );
    await eventually(() => expect(seen.graphs.at(-1)?.links).toEqual([LINK]));
    expect(asked).toBeGreaterThanOrEqual(10);
  });

  it('does not forget a doubt when a look fails', async () => {
    let text = ok(BODY);
    const { seen } = await seenFrom(
      FakeRuntime.graph(() => text),
      { intervalMs: 60_000 },
    );
    await eventually(() => expect(seen.graphs).toHaveLength(1));
    text = ok('{}');
    seen.source.refresh('doubt');
    await eventually(() => expect(seen.order.at(-1)).toBe('failure runtime-answer'));
    text = ok(BODY);
    await eventually(() => expect(seen.graphs).toHaveLength(2));
  });

  it('stops: nothing is emitted and no connection is left, even in the middle of an answer', async () => {
    const { runtime, seen } = await seenFrom((socket) => void socket.write(ok(BODY).slice(0, 30)));
    await eventually(() => expect(runtime.requests).toHaveLength(1));
    seen.source.stop();
    seen.source.refresh('too late');
    seen.source.postStatus([]);
    await eventually(() => expect(runtime.sockets.size).toBe(0));
    await pause(200); // nothing may follow: the next look would be after 100 ms
    expect(seen.order).toEqual([]);
    expect(runtime.requests).toHaveLength(1);
  });
});
