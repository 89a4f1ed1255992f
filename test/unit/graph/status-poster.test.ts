/** The status that a runtime is told: newest wins, an unknown endpoint is remembered, a restart forgets it. */
import type net from 'node:net';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../support/wait.js';
import { FakeRuntime, ok, watch } from './fake-runtime.js';

const EMPTY = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
const UNKNOWN = 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n';

/** As Pantavisor answers: HTTP/1.0, and the connection is closed. */
function refusal(words: string): string {
  return `HTTP/1.0 400 Bad Request\r\n\r\n${JSON.stringify({ Error: words })}`;
}

function bodies(runtime: FakeRuntime): unknown[] {
  return runtime.requests
    .filter((request) => request.startsWith('POST /xconnect-status '))
    .map((request) => JSON.parse(request.slice(request.indexOf('\r\n\r\n') + 4)));
}

/** `[]` as the graph; `post` answers a status. */
async function start(post: (socket: net.Socket) => void) {
  const runtime = await new FakeRuntime((socket, request) => {
    if (request.startsWith('GET ')) socket.end(ok('[]'));
    else post(socket);
  }).start();
  return { runtime, ...watch(runtime, { intervalMs: 20 }) };
}

describe('the status for the runtime', () => {
  it('is posted as JSON with its length in bytes', async () => {
    const { runtime, source } = await start((socket) => void socket.end(EMPTY));
    source.postStatus([{ name: 'é', established: true }]);
    await eventually(() => expect(bodies(runtime)).toEqual([[{ name: 'é', established: true }]]));
    const request = runtime.requests.find((text) => text.startsWith('POST')) ?? '';
    expect(request.toLowerCase()).toContain('content-type: application/json');
  });

  it('is the newest one when several came while one was under way', async () => {
    const held: net.Socket[] = [];
    const { runtime, source } = await start((socket) => void held.push(socket));
    for (let i = 0; i < 10; i++) source.postStatus([i]);
    await eventually(() => expect(held).toHaveLength(1));
    for (let i = 10; i < 20; i++) source.postStatus([i]);
    held[0]?.end(EMPTY);
    await eventually(() => expect(held).toHaveLength(2));
    held[1]?.end(EMPTY);
    const asked = runtime.count('GET');
    await eventually(() => expect(runtime.count('GET')).toBeGreaterThan(asked + 3));
    expect(bodies(runtime)).toEqual([[0], [19]]);
  });

  it.each([
    ['a 404', UNKNOWN],
    ['the 400 of an endpoint that is unknown', refusal('unknown endpoint /xconnect-status')],
  ])('is kept to itself after %s, until the runtime was away', async (_what, answer) => {
    const { runtime, source, order } = await start((socket) => void socket.end(answer));
    source.postStatus([1]);
    await eventually(() => expect(runtime.count('POST')).toBe(1));
    const asked = runtime.count('GET');
    source.postStatus([2]);
    await eventually(() => expect(runtime.count('GET')).toBeGreaterThan(asked + 3));
    expect(bodies(runtime)).toEqual([[1]]);
    await runtime.stop();
    await eventually(() => expect(order.at(-1)).toBe('failure runtime-away'));
    await runtime.start();
    await eventually(() => expect(bodies(runtime)).toEqual([[1], [2]]));
  });

  it.each([
    ['says something else', refusal('The body is not an unknown endpoint.')],
    ['says nothing', refusal('')],
    ['is no JSON', 'HTTP/1.0 400 Bad Request\r\n\r\nunknown endpoint'],
  ])('is posted again after a 400 that %s', async (_what, answer) => {
    const { runtime, source } = await start((socket) => void socket.end(answer));
    source.postStatus([1]);
    await eventually(() => expect(bodies(runtime)).toEqual([[1]]));
    source.postStatus([2]);
    await eventually(() => expect(bodies(runtime)).toEqual([[1], [2]]));
  });

  it('is told again to a runtime that was away, as that one may have forgotten it', async () => {
    const { runtime, source, order } = await start((socket) => void socket.end(EMPTY));
    source.postStatus([1]);
    await eventually(() => expect(bodies(runtime)).toEqual([[1]]));
    await runtime.stop();
    await eventually(() => expect(order.at(-1)).toBe('failure runtime-away'));
    await runtime.start();
    await eventually(() => expect(bodies(runtime)).toEqual([[1], [1]]));
  });

  it('is tried again after the connection broke', async () => {
    let broken = 2;
    const { runtime, source } = await start((socket) => {
      if (broken-- > 0) socket.destroy();
      else socket.end(EMPTY);
    });
    source.postStatus([1]);
    await eventually(() => expect(bodies(runtime)).toEqual([[1], [1], [1]]));
  });

  it('is given up when the runtime breaks every connection, and the next one is tried', async () => {
    const { runtime, source } = await start((socket) => void socket.destroy());
    source.postStatus([1]);
    await eventually(() => expect(bodies(runtime)).toHaveLength(3));
    const asked = runtime.count('GET');
    await eventually(() => expect(runtime.count('GET')).toBeGreaterThan(asked + 3));
    expect(bodies(runtime)).toHaveLength(3);
    source.postStatus([2]);
    await eventually(() => expect(bodies(runtime).at(-1)).toEqual([2]));
  });

  it('never throws, whatever it is given', async () => {
    const { runtime, source } = await start((socket) => void socket.end(EMPTY));
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(() => source.postStatus(cycle)).not.toThrow();
    source.postStatus([1]);
    await eventually(() => expect(bodies(runtime)).toEqual([[1]]));
  });
});
