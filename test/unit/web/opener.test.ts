/** What the process that may use the control socket does for the one that may not, on a control socket. */
import net, { type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Answers, EventParser } from '../../../src/web/answers.js';
import { type Opened, Opener, READABLE, requestFor } from '../../../src/web/opener.js';
import { eventually } from '../../support/wait.js';
import { Control } from '../status/control.js';

/** The two, with nothing between them. */
function joined(path: string): Answers {
  const answers = new Answers((ask) => opener.receive(JSON.parse(JSON.stringify(ask))));
  const opener = new Opener(path, READABLE, (opened, socket) => {
    if (socket) onTestFinished(() => void socket.destroy());
    answers.receive(opened, socket);
  });
  return answers;
}

describe('a request', () => {
  test('is for what may be read, and closes after it', () => {
    expect(
      requestFor({ id: 1, path: '/links', query: { consumer: 'a b&c\r\n' } }, READABLE),
    ).toEqual({
      id: 1,
      head: 'GET /links?consumer=a+b%26c%0D%0A HTTP/1.0\r\nHost: localhost\r\n\r\n',
    });
  });

  test.each([
    null,
    'text',
    { id: 1, path: '/upgrade', query: {} },
    { id: 1, path: '/links HTTP/1.0\r\n\r\nPOST /upgrade', query: {} },
    { id: 'one', path: '/links', query: {} },
    { id: 1, path: '/links', query: { consumer: 1 } },
    { id: 1, path: '/links', query: { consumer: 'x'.repeat(10_000) } },
    { id: 1, path: '/metrics', query: {} },
    { id: 1, path: '/links', query: {}, accept: 'a\r\nX: y' },
    { id: 1, path: '/links', query: {}, accept: 'a'.repeat(1_001) },
    { id: 1, path: '/links', query: {}, accept: {} },
  ])('is none: %j', (asked) => expect(requestFor(asked, READABLE)).toBeNull());
});

describe('the opener', () => {
  test('gives a connection that the answer can be read from, and nothing written to', async () => {
    const control = await Control.start();
    control.put();
    const opened = new Promise<Socket>((resolve) => {
      const opener = new Opener(
        control.path,
        READABLE,
        (_opened, socket) => socket && resolve(socket),
      );
      opener.receive({ id: 1, path: '/links', query: {} });
    });
    const socket = await opened;
    expect(socket.writable).toBe(false);
    let text = '';
    for await (const chunk of socket) text += chunk;
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(control.replaceable.asked).toBe(0);
  });

  test('says that there is no daemon', async () => {
    const told: Opened[] = [];
    const opener = new Opener('/nowhere', READABLE, (opened) => told.push(opened));
    opener.receive({ id: 3, path: '/links', query: {} });
    await eventually(() => expect(told).toHaveLength(1));
    expect(told).toEqual([{ id: 3, error: 'No daemon listens at /nowhere.' }]);
  });

  test('opens so many at a time, and refuses the next one', async () => {
    const { path } = await Control.start();
    const told: Opened[] = [];
    const opener = new Opener(path, READABLE, (opened, socket) => {
      told.push(opened);
      socket?.destroy();
    });
    for (let id = 0; id < 40; id++) opener.receive({ id, path: '/links', query: {} });
    await eventually(() => expect(told).toHaveLength(40));
    expect(told.filter(({ error }) => error !== null)).toHaveLength(8);
  });
});

describe('answers', () => {
  test('are what the daemon says', async () => {
    const control = await Control.start();
    control.put({ name: 'one' });
    control.put({ name: 'other' });
    const answers = joined(control.path);
    expect(await answers.get('/links', { name: 'other' })).toMatchObject({
      ok: true,
      value: [{ name: 'other' }],
    });
  });

  test('of a daemon that is none are sentences', async () => {
    for (const [answer, found] of [
      ['', 'half an answer'],
      ['HTTP/1.1 404 Not Found\r\n\r\n{}', 'status 404'],
      ['HTTP/1.1 200 OK\r\n\r\n{', 'no JSON'],
      ['SSH-2.0-OpenSSH\r\n\r\n', 'status 0'],
    ] as const) {
      const { path } = await Control.start();
      const server = net.createServer((socket) => socket.end(answer));
      onTestFinished(() => void server.close());
      await new Promise<void>((resolve) => server.listen(`${path}.odd`, resolve));
      expect(await joined(`${path}.odd`).get('/links')).toEqual({
        ok: false,
        error: `The daemon's answer was not understood (${found}).`,
      });
    }
  });

  test('have the events as they come, and the end of them', async () => {
    const control = await Control.start();
    const seen: unknown[] = [];
    let ended = 0;
    const following = await joined(control.path).follow(
      (name, data) => seen.push([name, data]),
      () => ended++,
    );
    expect(following.ok).toBe(true);
    control.put({ name: 'new' });
    await eventually(() => expect(seen).toMatchObject([['state', { name: 'new' }]]));
    await control.server.close();
    await eventually(() => expect(ended).toBe(1));
  });
});

describe('events', () => {
  const HEAD = 'HTTP/1.1 200 OK\r\nA: b\r\n\r\n';

  test('are the same however they are cut', () => {
    const text = `${HEAD}: listening\n\nevent: state\ndata: {"a":"é"}\n\n:\n\nevent: gone\ndata: {}\n\n`;
    for (let size = 1; size <= text.length; size++) {
      const seen: unknown[] = [];
      const parser = new EventParser((name, data) => seen.push([name, data]));
      for (let from = 0; from < text.length; from += size) {
        expect(parser.push(text.slice(from, from + size))).toBe(true);
      }
      expect(seen).toEqual([
        ['state', { a: 'é' }],
        ['gone', {}],
      ]);
    }
  });

  test.each(['HTTP/1.1 503 Busy\r\n\r\n', `${HEAD}data: {\n`, 'x'.repeat(20_000)])(
    'are none: %.30j',
    (text) => expect(new EventParser(() => {}).push(text)).toBe(false),
  );
});
