/** rest links between real containers: who asks is told with every request, and what may be asked is kept. */
import type { ChildProcess } from 'node:child_process';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { ContainerPair, usePair } from '../../support/container-pair.js';
import type { WireLink } from '../../support/link.js';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { startNginx, startNode } from '../http/providers.js';

const SOCKET = '/run/web/api.sock';
const TARGET = '/run/pv/services/api.sock';
const WEBSOCKET = new URL('../http/websocket-client.mjs', import.meta.url).pathname;

interface Asked {
  readonly url: string;
  readonly rawHeaders: string[];
  readonly headers: Record<string, string>;
  readonly length: number;
}

describe('a rest link', () => {
  const pair = usePair(
    new ContainerPair({
      args: ['--patience', '3'],
      link: {
        ...{ name: 'api', type: 'rest', interface: 'rest', role: 'operator' },
        ...{ target: TARGET, socket: SOCKET },
      },
    }),
  );
  let running: ChildProcess | null = null;
  afterEach(() => serve(null));

  function serve(start: (() => ChildProcess) | null): void {
    running?.kill('SIGKILL');
    running = start?.() ?? null;
    running?.stdout?.resume();
    running?.stderr?.resume();
  }
  const serveNode = () => serve(() => startNode(pair.provider, { socket: SOCKET }, 'node'));

  async function establish(fields: Partial<WireLink> = {}): Promise<void> {
    const link = pair.link(fields);
    pair.daemon.set(link);
    await eventually(async () => {
      const [shown] = await pair.daemon.shown();
      expect(shown).toMatchObject({ ...link, state: 'established' });
      expect(shown?.rules).toEqual(link.rules);
    });
  }

  async function curl(...args: string[]): Promise<string> {
    const argv = ['curl', '-sS', '--max-time', '20', '--unix-socket', TARGET, ...args];
    const { code, stdout, stderr } = await pair.consumer.exec(argv, { timeout: 30_000 });
    if (code !== 0) throw new Error(`curl ${args.join(' ')}: ${stderr}`);
    return stdout;
  }
  const ask = async (...args: string[]) => JSON.parse(await curl(...args)) as Asked;
  const status = (...args: string[]) =>
    curl('-o', '/dev/null', '-w', '%{http_code}', '--path-as-is', ...args);

  test('tells the provider who asks, on every request of a connection', async () => {
    serveNode();
    await establish();
    const url = 'http://localhost/echo';
    const out = await curl('-w', '\n%{num_connects}\n', `${url}/1`, `${url}/2`);
    const [first, made, second, again] = out.split('\n');
    expect([made, again]).toEqual(['1', '0']);
    for (const [i, text] of [first, second].entries()) {
      const asked = JSON.parse(text as string) as Asked;
      expect(asked.url).toBe(`/echo/${i + 1}`);
      expect(asked.headers).toMatchObject({ 'x-pv-client': 'consumer', 'x-pv-role': 'operator' });
    }
  });

  test.each([
    ['as it is', ['X-PV-Role: root', 'X-PV-Client: evil']],
    ['in another case', ['x-pv-ROLE: root']],
    ['more than once', ['X-PV-Role: a', 'X-PV-Role: b', 'X-PV-Role: operator']],
    ['with underscores', ['X_PV_Role: root', 'X-PV_Role: root', 'x_pv-role: root']],
    ['of another name', ['X-PV-Anything: 1', 'X-PV-: 1']],
    ['named by Connection', ['Connection: close, X-PV-Role, X-PV-Client', 'X-PV-Role: root']],
  ])('removes an identity that the consumer claims %s', async (_, lines) => {
    serveNode();
    await establish();
    const asked = await ask(...lines.flatMap((line) => ['-H', line]), 'http://localhost/echo');
    const names = asked.rawHeaders.filter((_name, i) => i % 2 === 0);
    const ours = names.filter((name) => /pv/i.test(name));
    expect(ours).toEqual(['X-PV-Client', 'X-PV-Role']);
    expect(asked.headers).toMatchObject({ 'x-pv-client': 'consumer', 'x-pv-role': 'operator' });
  });

  test('keeps the rules of the role', async () => {
    serveNode();
    await establish({ rules: ['GET /users/**', 'POST,PUT /users/*', 'OPTIONS *'] });
    const asked: [string, string, string][] = [
      ['GET', '/users', '200'],
      ['GET', '/users/1/x', '200'],
      ['GET', '/%75sers/1', '200'],
      ['POST', '/users/1', '200'],
      ['POST', '/users', '403'],
      ['POST', '/users/1/2', '403'],
      ['DELETE', '/users/1', '403'],
      ['GET', '/', '403'],
      ['GET', '/admin', '403'],
      ['GET', '/users/../admin', '403'],
      ['GET', '/users/%2e%2e/admin', '403'],
      ['GET', '/users/..;/admin', '403'],
      ['GET', '/users%2f..%2fadmin', '403'],
      ['GET', '/users//1', '403'],
      ['GET', '/users/%252e%252e/admin', '403'],
      ['GET', '/users/1%00', '403'],
    ];
    for (const [method, path, wanted] of asked) {
      const found = await status('-X', method, `http://localhost${path}`);
      expect([method, path, found]).toEqual([method, path, wanted]);
    }
    const override = await ask(
      '-H',
      'X-HTTP-Method-Override: DELETE',
      'http://localhost/users',
    ).catch(() => null);
    expect(override).toBeNull(); // `node` answers in plain text: it heard a GET
    const json = await curl('-H', 'Accept: application/json', 'http://localhost/admin');
    expect(JSON.parse(json)).toEqual({ Error: 'No rule of api lets the role operator ask this.' });
  });

  test('answers nc, which speaks HTTP/1.0 and half-closes', async () => {
    serveNode();
    await establish();
    for (const flag of ['-N', '-q1']) {
      const script = `printf 'GET /x HTTP/1.0\\r\\n\\r\\n' | nc.openbsd ${flag} -U ${TARGET}`;
      const { stdout, stderr } = await pair.consumer.exec(['sh', '-c', script]);
      expect(stderr).toBe('');
      expect(stdout).toMatch(/^HTTP\/1.1 200 OK\r\n.*\r\n\r\nnode$/s);
    }
  });

  test('carries 64 MiB up and down, with their length and in chunks', async () => {
    serveNode();
    await establish();
    const size = 64 * 1024 * 1024;
    for (const how of [[], ['-H', 'Transfer-Encoding: chunked']]) {
      const script = `head -c ${size} /dev/zero > /tmp/up`;
      await pair.consumer.exec(['sh', '-c', script]);
      const asked = await ask(...how, '--data-binary', '@/tmp/up', 'http://localhost/echo');
      expect(asked.length).toBe(size);
    }
    const down = ['-o', '/dev/null', '-w', '%{size_download}', `http://localhost/big/${size}`];
    expect(await curl(...down)).toBe(String(size));
  });

  test('sends on what was asked before its client closed, every time', async () => {
    serveNode();
    await establish();
    const script = [
      ...['import socket', 'for i in range(100):', ' s = socket.socket(socket.AF_UNIX)'],
      ` s.connect('${TARGET}')`,
      " s.sendall(b'POST /echo HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 5\\r\\n\\r\\nhello')",
      ' s.close()',
    ].join('\n');
    expect((await pair.consumer.exec(['python3', '-c', script])).code).toBe(0);
    await eventually(async () => expect(await curl('http://localhost/posts')).toBe('100'));
  });

  test('carries a WebSocket by the package ws', async () => {
    serveNode();
    await establish();
    const url = `ws+unix://${join(pair.consumer.rootDir, TARGET)}:/ws`;
    const stdout = await new Promise((resolve) => {
      execFile('node', [WEBSOCKET, url], (_error, out, err) => resolve(out + err));
    });
    expect(stdout).toBe('5 messages came back, closed with 1005\n');
  });

  test.runIf(has('nginx'))('speaks with nginx at its end', async () => {
    serve(() => startNginx(pair.provider, { socket: SOCKET }, 'nginx'));
    await establish();
    expect(await curl('http://localhost/')).toBe('nginx');
    expect(await curl('-I', 'http://localhost/')).toMatch(/^HTTP\/1.1 200 OK/);
    expect(await status('-r', '0-1', 'http://localhost/')).toBe('206');
  });

  test('waits for a provider that starts late, and says so where it does not', async () => {
    serveNode();
    await establish();
    serve(null);
    await pair.provider.exec(['rm', '-f', SOCKET]);
    const early = curl('http://localhost/');
    await pair.daemon.untilActive(1);
    serveNode();
    expect(await early).toBe('node');
    serve(null);
    await pair.provider.exec(['rm', '-f', SOCKET]);
    expect(await status('http://localhost/')).toBe('503');
  }, 30_000);

  test('outlives its provider, container and all', async () => {
    serveNode();
    await establish();
    expect(await curl('http://localhost/')).toBe('node');
    serve(null);
    await pair.provider.restart();
    serveNode();
    pair.daemon.set(pair.link());
    expect(await curl('http://localhost/')).toBe('node');
  });
});
