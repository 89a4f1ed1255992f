/** What a link may say about how it is served: health, the access log, rules, limits; and links that come and go. */
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../support/wait.js';
import { startNode } from './providers.js';
import { startTown, type Town } from './town.js';

const HTTP = { port: 8080 };
const UNIX = { socket: '/run/web/http.sock' };

describe('the settings of an http link', () => {
  let town: Town;
  beforeAll(async () => {
    town = await startTown(23);
    await Promise.all([town.node('web', HTTP), town.node('sick', UNIX)]);
  });
  afterAll(() => town?.stop());

  const status = (path: string, ...args: string[]) =>
    town.curl('-o', '/dev/null', '-w', '%{http_code}', ...args, town.url(path));
  const found = async (name: string) =>
    (await town.daemon.shown()).find((link) => link.name === name);

  test('a provider that is not well is shown so, and answered for, until it is well', async () => {
    const health = { path: '/health', interval: 0.2, timeout: 0.5 };
    await town.establish(
      town.link('web', HTTP, ''),
      town.link('sick', UNIX, '/sick', { http: { health } }),
    );
    expect(await status('/sick/unwell')).toBe('200');
    await town.daemon.until({ web: 'established', sick: 'failed' });
    expect((await found('sick'))?.last_error).toMatchObject({
      code: 'provider-unhealthy',
      message: 'sick is not well: GET /health: it answered 500.',
    });
    expect(await town.curl(town.url('/sick/'))).toBe('sick is not well: it answered 500.\n');
    expect(await status('/sick/')).toBe('503');
    expect(await status('/')).toBe('200');
    town.serve('sick', (container) => startNode(container, UNIX, 'sick'));
    await town.daemon.until({ web: 'established', sick: 'established' });
    expect(await status('/sick/')).toBe('200');
  });

  test('a provider whose container was restarted is asked at once', async () => {
    const health = { path: '/health', interval: 3600, timeout: 0.5 };
    await town.establish(town.link('sick', UNIX, '/sick'));
    expect(await status('/sick/unwell')).toBe('200');
    const link = () => town.link('sick', UNIX, '/asked', { name: 'asked', http: { health } });
    town.daemon.set(link());
    await town.daemon.until({ asked: 'failed' });
    await town.containers.get('sick')?.kill();
    await town.node('sick', UNIX);
    town.daemon.set(link());
    await town.daemon.until({ asked: 'established' });
    expect(await status('/asked/')).toBe('200');
  });

  test('the access log has one line a request, with its link', async () => {
    await town.establish(
      town.link('web', HTTP, '', { http: { access_log: true } }),
      town.link('sick', UNIX, '/sick'),
    );
    town.daemon.log = '';
    await status('/logged?x=1');
    await status('/break');
    await status('/sick/not-logged');
    const lines = await eventually(() => {
      const all = town.daemon.log
        .split('\n')
        .filter((line) => line.includes('"request"'))
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(all).toHaveLength(2);
      return all;
    });
    expect(lines[0]).toMatchObject({
      client: town.cable.container,
      method: 'GET',
      target: '/logged?x=1',
      host: town.cable.host,
      status: 200,
      bytes: 3,
      milliseconds: expect.any(Number),
    });
    expect(JSON.stringify(lines[0])).toContain(`EXTERNAL`);
    expect(lines[1]).toMatchObject({ target: '/break', status: 502 });
  });

  test('rules hold for what the provider gets', async () => {
    await town.establish(
      town.link('web', HTTP, '/api', { rules: ['GET /public/**', 'POST /inbox'] }),
    );
    const asked: [string, string, string][] = [
      ['GET', '/api/public/x', '200'],
      ['HEAD', '/api/public/x', '200'],
      ['POST', '/api/public/x', '403'],
      ['POST', '/api/inbox', '200'],
      ['GET', '/api/inbox', '403'],
      ['GET', '/api/private', '403'],
      ['GET', '/api/public/..%2fprivate', '403'],
      ['GET', '/api/public//x', '403'],
      ['GET', '/api', '403'],
      ['GET', '/public/x', '404'],
    ];
    for (const [method, path, wanted] of asked) {
      const how = method === 'HEAD' ? ['-I'] : ['-X', method];
      expect([method, path, await status(path, '--path-as-is', ...how)]).toEqual([
        method,
        path,
        wanted,
      ]);
    }
  });

  test('networks are let in by the link, not by the address that links share', async () => {
    await town.establish(
      town.link('sick', UNIX, '/sick', { allow_from: ['192.0.2.0/24', '2001:db8::/32'] }),
      town.link('web', HTTP, '', { allow_from: ['10.213.0.0/16'] }),
    );
    expect(await status('/')).toBe('200');
    expect(await status('/sick/')).toBe('403');
  });

  test('heads, headers and connections are limited as the link says', async () => {
    const limits = { head: 1024, headers: 10, connections: 2, idle_timeout: 1, head_timeout: 0.3 };
    await town.establish(town.link('web', HTTP, '', { http: { limits } }));
    expect(await status('/', '-H', `X: ${'x'.repeat(1000)}`)).toBe('431');
    const many = Array.from({ length: 12 }, (_, i) => ['-H', `X-${i}: 1`]).flat();
    expect(await status('/', ...many)).toBe('431');
    expect(await status(`/${'x'.repeat(2000)}`)).toBe('414');

    const dial = () => net.connect(80, town.cable.host);
    const slow = [dial(), dial()];
    const heard = ['', ''];
    for (const [i, socket] of slow.entries()) {
      socket.on('data', (chunk: Buffer) => {
        heard[i] += chunk.toString();
      });
      socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
    }
    await eventually(async () => expect((await found('web'))?.connections.active).toBe(2));
    expect(await status('/')).toBe('503');
    for (const socket of slow) socket.resetAndDestroy(); // one that only ends waits for its answer
    await eventually(async () => expect(await status('/')).toBe('200'));

    const late = dial();
    const answer = new Promise((resolve) => late.once('data', (chunk) => resolve(String(chunk))));
    late.write('GET / HT');
    expect(await answer).toMatch(/^HTTP\/1.1 408 /);
    late.destroy();
  });

  test('a route that comes or goes leaves every connection of its address alone', async () => {
    const web = town.link('web', HTTP, '');
    const sick = town.link('sick', UNIX, '/sick');
    await town.establish(web);
    const socket = net.connect(80, town.cable.host);
    let heard = '';
    let closed = false;
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString();
    });
    socket.on('close', () => {
      closed = true;
    });
    const ask = async (path: string, answer: RegExp) => {
      heard = '';
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      await eventually(() => expect(heard).toMatch(answer));
    };
    await ask('/', /web$/);
    await town.establish(web, sick);
    await ask('/sick/', /sick$/);
    await town.establish(web);
    await ask('/sick/', /web$/);
    await town.establish(web, sick);
    await town.establish(sick);
    await ask('/', /404 Not Found/);
    await ask('/sick/', /sick$/);
    expect(closed).toBe(false);
    // The last one takes the listener with it.
    town.daemon.set();
    await eventually(() => expect(closed).toBe(true), { timeoutMs: 7_000 });
    const refused = await town.run(['curl', '-sS', '--max-time', '2', town.url('/')]);
    expect(refused.code).toBe(7); // CURLE_COULDNT_CONNECT
  });
});
