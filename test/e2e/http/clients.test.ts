/** Clients and providers that no one here wrote, on both sides of an ingress. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { has } from '../../support/requirements.js';
import { someBytes } from '../../support/some-bytes.js';
import { eventually } from '../../support/wait.js';
import { startNginx, startPython } from './providers.js';
import { startTown, type Town } from './town.js';

const MiB = 1024 * 1024;
const WEB = { port: 8080 };
const UNIX = { socket: '/run/web/http.sock' };
const PROVIDERS = ['nginx', 'python', 'node'];
const WEBSOCKET = new URL('./websocket-client.mjs', import.meta.url).pathname;

describe.runIf(has('nginx'))('clients of an ingress', () => {
  let town: Town;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pvx-clients-'));
    town = await startTown(21);
    await Promise.all([town.container('nginx'), town.container('python'), town.node('node', UNIX)]);
    town.serve('nginx', (container) => startNginx(container, UNIX, 'nginx'));
    town.serve('python', (container) => startPython(container, WEB.port, 'python'));
    await town.establish(
      town.link('nginx', UNIX, '/nginx'),
      town.link('python', WEB, '/python'),
      town.link('node', UNIX, '/node'),
    );
  });
  afterAll(async () => {
    await town?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(PROVIDERS)('curl gets a page from %s, twice over one connection', async (name) => {
    const url = town.url(`/${name}/`);
    const out = await town.curl('-w', ' %{http_version} %{num_connects}\n', url, url);
    expect(out).toBe(`${name} 1.1 1\n${name} 1.1 0\n`);
  });

  test.each(PROVIDERS)('curl gets a page from %s by HTTP/1.0', async (name) => {
    const out = await town.curl('--http1.0', '-w', ' %{http_code}', town.url(`/${name}/`));
    expect(out).toBe(`${name} 200`);
  });

  test.each(PROVIDERS)('curl gets the head of a page from %s, and then another', async (name) => {
    const url = town.url(`/${name}/`);
    const out = await town.curl('-I', '-w', '%{num_connects}\n', url, '--next', '-sS', url);
    expect(out).toMatch(new RegExp(`^HTTP/1.1 200 .*\\n1\\n${name}$`, 's'));
  });

  test.runIf(has('wget')).each(PROVIDERS)('wget gets a page from %s', async (name) => {
    const { stdout } = await town.run(['wget', '-q', '-O', '-', town.url(`/${name}/`)]);
    expect(stdout).toBe(name);
  });

  test.each(PROVIDERS)(
    'http.client of python gets pages from %s over one connection',
    async (name) => {
      const code = `
import http.client, sys
c = http.client.HTTPConnection("${town.cable.host}")
for i in range(20):
    c.request("GET", "/${name}/")
    r = c.getresponse()
    assert r.status == 200 and r.read() == b"${name}", r.status
print("ok")`;
      expect(await town.run(['python3', '-c', code])).toMatchObject({ stdout: 'ok\n' });
    },
  );

  test.runIf(has('h2load')).each(PROVIDERS)('h2load gets what it asks of %s', async (name) => {
    const args = ['--h1', '-n', '1000', '-c', '10', '-m', '4', town.url(`/${name}/`)];
    const { stdout } = await town.run(['h2load', ...args]);
    expect(stdout).toMatch(/1000 succeeded, 0 failed, 0 errored, 0 timeout/);
    expect(stdout).toMatch(/status codes: 1000 2xx, 0 3xx/);
  });

  test.runIf(has('wrk')).each(PROVIDERS)('wrk hears no error of %s', async (name) => {
    const { stdout } = await town.run(['wrk', '-t1', '-c16', '-d1', town.url(`/${name}/`)]);
    expect(stdout).toMatch(/Requests\/sec: +[1-9]/);
    expect(stdout).not.toMatch(/Socket errors|Non-2xx/);
  });

  test.each([
    ['with its length', []],
    ['in chunks', ['-H', 'Transfer-Encoding: chunked']],
    ['after 100 (Continue)', ['-H', 'Expect: 100-continue']],
    ['by HTTP/1.0', ['--http1.0']],
  ])('32 MiB go up %s and come down again unchanged', async (_, args) => {
    const body = someBytes(32 * MiB);
    const file = join(folder, 'up');
    writeFileSync(file, body);
    const down = join(folder, 'down');
    const url = town.url('/nginx/upload/file');
    const put = ['-X', 'PUT', '--data-binary', `@${file}`, ...args];
    const status = await town.curl(...put, '-o', '/dev/null', '-w', '%{http_code}', url);
    expect(status).toMatch(/^20[14]$/);
    await town.curl('-o', down, town.url('/nginx/upload/file'));
    expect(readFileSync(down).equals(body)).toBe(true);

    const asked = await town.curl(...put, town.url('/node/echo'));
    const sum = createHash('sha256').update(body).digest('hex');
    expect(JSON.parse(asked)).toMatchObject({ length: body.length, sum });
  });

  test('trailers reach a client that asks for them', async () => {
    const out = await town.curl('--raw', '-H', 'TE: trailers', town.url('/node/stream'));
    expect(out).toMatch(/line 9\n\r\n0\r\nX-Sum: 10\r\n\r\n$/);
  });

  test('a WebSocket is spoken through, whatever the size of its messages', async () => {
    const url = town.url('/node/ws').replace('http', 'ws');
    const { stdout, stderr } = await town.run(['node', WEBSOCKET, url]);
    expect(stderr).toBe('');
    expect(stdout).toBe('5 messages came back, closed with 1005\n');
    await eventually(async () => {
      const shown = await town.daemon.shown();
      const node = shown.find(({ name }) => name === 'node');
      expect(node?.connections.active).toBe(0);
      expect(node?.connections.total).toBeGreaterThan(0);
    });
  });
});
