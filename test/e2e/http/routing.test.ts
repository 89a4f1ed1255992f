/** Which link a request goes to, what its provider is told, and what a client is told where none answers. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../support/wait.js';
import { startTown, type Town } from './town.js';

const HTTP = { port: 8080 };
const UNIX = { socket: '/run/web/http.sock' };

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly text: string;
}

describe('http ingress', () => {
  let town: Town;
  beforeAll(async () => {
    town = await startTown(20, '--patience', '1');
    await Promise.all([town.node('root', HTTP), town.node('api', UNIX), town.node('deep', HTTP)]);
    await town.establish(
      town.link('root', HTTP, ''),
      town.link('api', UNIX, '/api'),
      town.link('deep', HTTP, '/api/deep'),
      town.link('root', HTTP, '/kept', { name: 'kept', http: { strip_prefix: false } }),
      town.link('api', UNIX, '', { name: 'named', host: 'api.example.org' }),
      town.link('deep', HTTP, '', { name: 'below', host: '*.example.org' }),
    );
  });
  afterAll(() => town?.stop());

  const ask = async (path: string, ...args: string[]) =>
    JSON.parse(await town.curl('--path-as-is', ...args, town.url(path))) as Asked;

  test.each([
    ['/echo', 'root', '/echo'],
    ['/api/echo', 'api', '/echo'],
    ['/api/echo?q=/api', 'api', '/echo?q=/api'],
    ['/%61pi/echo', 'api', '/echo'],
    ['/api/deep/echo', 'deep', '/echo'],
    ['/api/deep/echo/%65', 'deep', '/echo/%65'],
    ['/echo/api', 'root', '/echo/api'],
  ])('%s goes to %s as %s', async (path, name, url) => {
    expect(await ask(path)).toMatchObject({ text: name, url });
  });

  test.each([
    ['/api', 'api'],
    ['/api/', 'api'],
    ['/api?x', 'api'],
    ['/apix', 'root'],
    ['/api%2fdeep', 'root'],
    ['/API', 'root'],
    ['//api', 'root'],
    ['/api/deeper', 'api'],
  ])('%s ends at a segment, so it goes to %s', async (path, name) => {
    expect(await town.curl('--path-as-is', town.url(path))).toBe(name);
  });

  test('a prefix stays where strip_prefix is false', async () => {
    expect(await town.curl(town.url('/kept/echo'))).toBe('root');
    const asked = await ask('/echo', '-H', 'Host: other.example.net');
    expect(asked).toMatchObject({ text: 'root', url: '/echo' });
  });

  test.each([
    ['api.example.org', 'api'],
    ['API.Example.ORG:80', 'api'],
    ['api.example.org.', 'api'],
    ['a.b.example.org', 'deep'],
    ['example.org', 'root'],
  ])('the host %s leads to %s', async (host, name) => {
    expect(await ask('/echo', '-H', `Host: ${host}`)).toMatchObject({ text: name });
  });

  test('a path with dot segments is refused', async () => {
    for (const path of ['/api/../echo', '/api/%2e%2e/echo', '/./echo']) {
      const status = ['-o', '/dev/null', '-w', '%{http_code}'];
      expect(await town.curl('--path-as-is', ...status, town.url(path))).toBe('400');
    }
  });

  test('the provider is told where a request came from, and nothing that the client claims', async () => {
    const forged = ['X-Forwarded-For: 6.6.6.6', 'X-PV-Role: root', 'x_pv_client: root'].flatMap(
      (line) => ['-H', line],
    );
    const more = ['X-Forwarded-Host: evil', 'Forwarded: for=evil', 'X-Real-IP: 6.6.6.6'].flatMap(
      (line) => ['-H', line],
    );
    const { headers } = await ask('/api/echo', ...forged, ...more);
    expect(headers).toMatchObject({
      'x-forwarded-for': town.cable.container,
      'x-forwarded-host': town.cable.host,
      'x-forwarded-proto': 'http',
      'x-forwarded-prefix': '/api',
      'x-pv-client': 'EXTERNAL',
      'x-pv-role': 'any',
    });
    expect(Object.keys(headers).filter((name) => /pv|forward|real/.test(name))).toHaveLength(6);
  });

  test('a provider that is away is answered for with 503, one that breaks off with 502', async () => {
    const show = ['-w', ' %{http_code} %header{retry-after}'];
    expect(await town.curl(...show, town.url('/break'))).toMatch(/^The provider .*\n 502 $/);
    await town.container('away');
    const all = await town.daemon.shown();
    const away = town.link('away', HTTP, '/away');
    town.daemon.set(...town.daemon.graph, away);
    await town.daemon.until({
      ...Object.fromEntries(all.map(({ name }) => [name, 'established'])),
      away: 'waiting',
    });
    expect(await town.curl(...show, town.url('/away'))).toMatch(/ 503 1$/);
    const json = await town.curl('-H', 'Accept: application/json', town.url('/away'));
    expect(JSON.parse(json)).toEqual({ Error: expect.stringContaining('away') });
    town.daemon.set(...town.daemon.graph.filter(({ name }) => name !== 'away'));
  });

  test('an answer that breaks off in the middle ends the connection, and no other', async () => {
    const { code } = await town.run(['curl', '-sS', town.url('/half')]);
    expect(code).toBe(18); // CURLE_PARTIAL_FILE, or what it is for chunks
    expect(await town.curl(town.url('/'))).toBe('root');
  });

  test('one that is too slow is answered for with 504', async () => {
    const slow = town.link('root', HTTP, '/limited', {
      name: 'limited',
      http: { limits: { answer_timeout: 0.2 } },
    });
    town.daemon.set(...town.daemon.graph, slow);
    await eventually(async () => {
      const status = await town.curl(
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        town.url('/limited/slow'),
      );
      expect(status).toBe('504');
    });
  });
});
