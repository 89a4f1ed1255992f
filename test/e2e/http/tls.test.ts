/** TLS on an address: which certificate, when it is read anew, and HTTP/2 behind it. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { has } from '../../support/requirements.js';
import { someBytes } from '../../support/some-bytes.js';
import { inNetworkOf } from '../../support/veth.js';
import { eventually } from '../../support/wait.js';
import { startTown, type Town } from './town.js';

const HTTP = { port: 8080 };
const UNIX = { socket: '/run/web/http.sock' };
const MiB = 1024 * 1024;

const pair = (file: string) => ({ tls: { cert: `${file}.pem`, key: `${file}.key` } });

describe.runIf(has('openssl'))('an ingress with TLS', () => {
  let town: Town;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pvx-tls-'));
    town = await startTown(22);
    town.certify('one', 'one.example.org');
    town.certify('two', 'two.example.org', '*.two.example.org');
    await Promise.all([town.node('one', HTTP), town.node('two', UNIX)]);
    const target = `${town.cable.host}:443`;
    await town.establish(
      town.link('one', HTTP, '', { target, host: 'one.example.org', http: pair('one') }),
      town.link('two', UNIX, '', { target, host: 'two.example.org', http: pair('two') }),
      town.link('two', UNIX, '', {
        ...{ name: 'any', target: `${target}/any`, http: pair('one') },
      }),
    );
  });
  afterAll(async () => {
    await town?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const to = (name: string) => ['--connect-to', `${name}:443:${town.cable.host}:443`];
  const trusting = (file: string) => ['--cacert', join(town.certificates, `${file}.pem`)];

  test.each([
    ['one', '--http1.1', '1.1'],
    ['two', '--http1.1', '1.1'],
    ['one', '--http2', '2'],
    ['two', '--http2', '2'],
  ])('the name %s has its certificate, by %s', async (name, version, spoken) => {
    const host = `${name}.example.org`;
    const args = [...trusting(name), ...to(host), version, '-w', '\n%{http_version}'];
    const [body = '', used] = (await town.curl(...args, `https://${host}/echo?x=1`)).split('\n');
    expect(used).toBe(spoken);
    expect(JSON.parse(body)).toMatchObject({
      text: name,
      url: '/echo?x=1',
      headers: { host, 'x-forwarded-proto': 'https', 'x-forwarded-for': town.cable.container },
    });
  });

  test('a client that names nobody gets the certificate of the link for any host', async () => {
    const url = `https://${town.cable.host}/any/echo`;
    const out = JSON.parse(await town.curl('-k', '--http2', url));
    expect(out).toMatchObject({ text: 'two', headers: { host: town.cable.host } });
  });

  test('a wrong certificate is none', async () => {
    const host = 'two.example.org';
    const { code } = await town.run([
      ...['curl', '-sS', ...trusting('one'), ...to(host), `https://${host}/`],
    ]);
    expect(code).toBe(60); // CURLE_PEER_FAILED_VERIFICATION
  });

  test.each(['--http1.1', '--http2'])('bodies of 16 MiB go both ways by %s', async (version) => {
    const body = someBytes(16 * MiB);
    const file = join(folder, 'up');
    writeFileSync(file, body);
    const host = 'one.example.org';
    const args = [...trusting('one'), ...to(host), version];
    for (const how of [[], ['-H', 'Transfer-Encoding: chunked']]) {
      if (version === '--http2' && how.length > 0) continue;
      const up = ['--data-binary', `@${file}`, ...how];
      const asked = JSON.parse(await town.curl(...args, ...up, `https://${host}/echo`));
      const sum = createHash('sha256').update(body).digest('hex');
      expect(asked).toMatchObject({ length: body.length, sum });
    }
    const size = ['-o', '/dev/null', '-w', '%{size_download}'];
    const down = await town.curl(...args, ...size, `https://${host}/big/${16 * MiB}`);
    expect(down).toBe(String(16 * MiB));
  });

  test('HTTP/2 carries HEAD, trailers, errors and what breaks off', async () => {
    const host = 'one.example.org';
    const args = [...trusting('one'), ...to(host), '--http2'];
    const head = await town.curl(...args, '-I', `https://${host}/`);
    expect(head).toMatch(/^HTTP\/2 200 \r\n/);
    expect(head).not.toMatch(/connection|keep-alive|transfer-encoding/i);
    const lines = await town.curl(...args, `https://${host}/stream`);
    expect(lines.split('\n')).toHaveLength(11);
    const status = ['-o', '/dev/null', '-w', '%{http_code}'];
    expect(await town.curl(...args, ...status, `https://${host}/break`)).toBe('502');
    const { code } = await town.run(['curl', '-sS', ...args, `https://${host}/half`]);
    expect(code).toBe(92); // CURLE_HTTP2_STREAM
  });

  test('what a client claims by HTTP/2 is not believed either', async () => {
    const host = 'one.example.org';
    const claims = ['X-PV-Role: root', 'x_pv_client: root', 'X-Forwarded-For: 6.6.6.6'];
    const lines = [...claims, 'Forwarded: for=6.6.6.6', 'TE: trailers'].flatMap((line) => [
      '-H',
      line,
    ]);
    const args = [...trusting('one'), ...to(host), '--http2', ...lines];
    const { headers } = JSON.parse(await town.curl(...args, `https://${host}/echo`));
    expect(headers).toMatchObject({ 'x-pv-role': 'any', 'x-pv-client': 'EXTERNAL' });
    expect(headers['x-forwarded-for']).toBe(town.cable.container);
    expect(headers).not.toHaveProperty('forwarded');
    expect(Object.keys(headers).filter((name) => /pv/.test(name))).toHaveLength(2);
    const status = ['-o', '/dev/null', '-w', '%{http_code}'];
    const dots = [...args, '--path-as-is', ...status, `https://${host}/a/../b`];
    expect(await town.curl(...dots)).toBe('400');
    const large = [...args, '-H', `X-Large: ${'x'.repeat(20_000)}`, ...status, `https://${host}/`];
    expect(await town.curl(...large)).toBe('431');
  });

  test.runIf(has('h2load'))(
    'h2load asks 2,000 times over 10 connections of 10 streams',
    async () => {
      const url = `https://${town.cable.host}/any/`;
      const { stdout } = await town.run(['h2load', '-n', '2000', '-c', '10', '-m', '10', url]);
      expect(stdout).toMatch(/Application protocol: h2/);
      expect(stdout).toMatch(/2000 succeeded, 0 failed, 0 errored, 0 timeout/);
    },
  );

  test('a certificate that changes is used for new connections; the old ones go on', async () => {
    const host = 'one.example.org';
    const [program = '', ...args] = [
      ...[...inNetworkOf(town.client), 'openssl', 's_client', '-quiet', '-ign_eof'],
      ...['-connect', `${town.cable.host}:443`, '-servername', host, '-alpn', 'http/1.1'],
    ];
    const old = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] });
    let heard = '';
    old.stdout.on('data', (chunk: Buffer) => {
      heard += chunk.toString();
    });
    const ask = async (count: number) => {
      old.stdin.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await eventually(() => expect(heard.match(/\r\n\r\none/g)).toHaveLength(count));
    };
    await ask(1);
    const before = await town.curl(...trusting('one'), ...to(host), `https://${host}/`);
    expect(before).toBe('one');
    const trusted = trusting('one');
    town.certify('other', host);
    writeFileSync(join(town.certificates, 'one.key'), 'half a key');
    await eventually(() => expect(town.daemon.log).toContain('no certificate and its key'));
    expect(await town.curl(...trusted, ...to(host), `https://${host}/`)).toBe('one');
    town.certify('one', host);
    await eventually(
      async () => {
        const out = await town.curl(...trusting('one'), ...to(host), `https://${host}/`);
        expect(out).toBe('one');
      },
      { timeoutMs: 10_000 },
    );
    await ask(2);
    old.kill();
  });

  test('a client that is gone before its handshake is read asks for nothing', async () => {
    const target = `${town.cable.host}:445`;
    const http = { ...pair('one'), access_log: true };
    const { graph } = town.daemon;
    await town.establish(...graph, town.link('one', HTTP, '', { name: 'logged', target, http }));
    town.daemon.log = '';
    const script = new URL('./gone.py', import.meta.url).pathname;
    const gone = await town.run(['python3', script, town.cable.host, '445', '50']);
    expect(gone).toMatchObject({ code: 0, stderr: '', stdout: 'True\n' });
    expect(await town.curl('-k', `https://${target}/last`)).toBe('one');
    await eventually(() => expect(town.daemon.log).toContain('/last'));
    expect(town.daemon.log).not.toContain('"client":""');
    await town.establish(...graph);
  });

  test('a certificate that is missing is said of its link alone', async () => {
    const target = `${town.cable.host}:444`;
    const bad = town.link('one', HTTP, '', { name: 'bad', target, http: pair('nowhere') });
    town.daemon.set(...town.daemon.graph, bad);
    const states = { one: 'established', two: 'established', any: 'established' };
    const shown = await town.daemon.until({ ...states, bad: 'failed' });
    const found = shown.find(({ name }) => name === 'bad');
    expect(found?.last_error).toMatchObject({ code: 'certificate-invalid' });
    expect(found?.last_error?.message).toContain('nowhere.pem');
  });
});
