import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ControlSocket } from '../../../src/runtime/control-socket.js';
import { answer, FileBody, Router } from '../../../src/runtime/router.js';
import { pause } from '../../support/wait.js';

let folder: string;
let path: string;
let socket: ControlSocket;

const slow = async () => {
  await pause(50); // an answer that takes a while
  return answer('slow\n');
};
const router = new Router({
  '/fast': { GET: () => answer({ hello: 1 }) },
  '/slow': { GET: slow },
  '/file': { GET: () => answer(new FileBody(join(folder, 'bytes'), 9)) },
  '/echo': { POST: async (request) => answer(await request.json()) },
  '/broken': {
    GET: () => {
      throw new Error('oh dear');
    },
  },
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-ctrl-'));
  path = join(folder, 'a/b/pv-ctrl');
  writeFileSync(join(folder, 'bytes'), 'the bytes');
  socket = new ControlSocket(path, router);
});
afterEach(async () => {
  await socket.close();
  rmSync(folder, { recursive: true });
});

/** Everything that comes back until the server ends the connection. */
function talk(text: string | Buffer, { halfClose = false } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const client = net.connect({ path, allowHalfOpen: true });
    let got = '';
    client.on('data', (chunk) => {
      got += chunk;
    });
    client.on('end', () => {
      client.destroy();
      resolve(got);
    });
    client.on('error', reject);
    if (halfClose) client.end(text);
    else client.write(text);
  });
}

const post = (path: string, body: string) =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

describe('requests', () => {
  beforeEach(async () => expect(await socket.listen()).toBeNull());

  test.each([false, true])(
    'HTTP/1.0 is answered to its end, half-closed: %s',
    async (halfClose) => {
      for (const [name, body] of [
        ['fast', '{"hello":1}\n'],
        ['slow', 'slow\n'],
      ]) {
        const got = await talk(`GET /${name} HTTP/1.0\r\n\r\n`, { halfClose });
        expect(got).toMatch(/^HTTP\/1\.[01] 200 OK\r\n/);
        expect(got.endsWith(`\r\n\r\n${body}`)).toBe(true);
      }
    },
  );

  test('HTTP/1.1 keeps its connection for the next request', async () => {
    const first = 'GET /fast?x=1 HTTP/1.1\r\nHost: x\r\n\r\n';
    const last = 'GET http://localhost/slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    const got = await talk(first + last);
    expect(got.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
    expect(got.endsWith('slow\n')).toBe(true);
  });

  test('a body may come in pieces, and in chunks', async () => {
    const head = 'POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n';
    const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n`;
    expect(await talk(chunked)).toContain('{"a":1}');
  });

  test.each([
    ['no JSON', 'nonsense'],
    ['nothing', ''],
    ['JSON that is nested too deep', `${'['.repeat(1_000)}${']'.repeat(1_000)}`],
    ['bytes that are no text', Buffer.from([0x22, 0xff, 0x22])],
  ])('a body of %s is 400', async (_what, body) => {
    const head = `POST /echo HTTP/1.0\r\nContent-Length: ${body.length}\r\n\r\n`;
    const got = await talk(Buffer.concat([Buffer.from(head), Buffer.from(body)]));
    expect(got).toMatch(/^HTTP\/1\.1 400 /);
    expect(got).toContain('{"Error":"');
  });

  test.each([false, true])(
    'the coding "identity" beside a length is none, as pvcontrol sends it, half-closed: %s',
    async (halfClose) => {
      const head =
        'POST /echo HTTP/1.0\r\ntransfer-encoding:  Identity \r\nContent-Length: 7\r\n\r\n';
      expect(await talk(`${head}{"a":1}`, { halfClose })).toMatch(/ 200 OK\r\n.*{"a":1}\n$/s);
      const smuggled = head.replace('Identity', 'identity, chunked');
      expect(await talk(`${smuggled}{"a":1}`)).toMatch(/^HTTP\/1\.1 400 /);
    },
  );

  test('a head that comes byte by byte is read; one that ends early is 400', async () => {
    const client = net.connect(path);
    let got = '';
    client.on('data', (chunk) => {
      got += chunk;
    });
    for (const byte of 'GET /fast HTTP/1.0\r\n\r\n') {
      await new Promise((resolve) => client.write(byte, resolve));
    }
    await new Promise((resolve) => client.once('end', resolve));
    expect(got).toContain('{"hello":1}');
    expect(await talk('GET /fast HT', { halfClose: true })).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('a file is answered as its bytes', async () => {
    const got = await talk('GET /file HTTP/1.0\r\n\r\n');
    expect(got).toMatch(/Content-Type: application\/octet-stream\r\n.*\r\n\r\nthe bytes$/s);
  });

  test('a body that is too large is 413, before it is all there', async () => {
    const head = `POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: ${2 ** 40}\r\n\r\n`;
    const got = await new Promise<string>((resolve) => {
      const client = net.connect({ path, allowHalfOpen: true });
      client.on('error', () => undefined);
      client.once('data', (chunk) => {
        client.destroy();
        resolve(String(chunk));
      });
      client.write(head);
      const piece = Buffer.alloc(1024 * 1024, 32);
      for (let i = 0; i < 17; i++) client.write(piece);
    });
    expect(got).toMatch(/^HTTP\/1\.1 413 /);
  });

  test('a body that is cut off costs nothing but its request', async () => {
    const client = net.connect(path);
    await new Promise((resolve) => {
      client.write(post('/echo', '{"a":1}').slice(0, -3), resolve);
    });
    client.destroy();
    expect(await talk('GET /fast HTTP/1.0\r\n\r\n')).toContain('200 OK');
  });

  test('what is no HTTP is 400, what is not there 404, a bug 500', async () => {
    expect(await talk('\x16\x03\x01 hello\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 .*"Error"/s);
    expect(await talk('GET /nothing HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 404 .*"Error"/s);
    expect(await talk('GET /broken HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 500 .*oh dear/s);
  });
});

describe('the socket', () => {
  test('is for its owner and group, and gone after the end', async () => {
    await socket.listen();
    expect(statSync(path).mode & 0o777).toBe(0o660);
    await socket.close();
    expect(existsSync(path)).toBe(false);
  });

  test('takes the place of one that nobody serves, as kill -9 leaves it', async () => {
    const killed =
      'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, 9))';
    const left = join(folder, 'left');
    spawnSync(process.execPath, ['-e', killed, left]);
    expect(existsSync(left)).toBe(true);
    const next = new ControlSocket(left, router);
    expect(await next.listen()).toBeNull();
    await next.close();
  });

  test('leaves one that is served alone, and says so', async () => {
    await socket.listen();
    const second = new ControlSocket(path, router);
    expect(await second.listen()).toMatch(/served by another runtime/);
    await second.close();
    expect(await talk('GET /fast HTTP/1.0\r\n\r\n')).toContain('200 OK');
  });

  test('leaves a file alone, and says so', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, 'mine');
    expect(await new ControlSocket(file, router).listen()).toMatch(/no socket/);
    expect(statSync(file).isFile()).toBe(true);
  });

  test.each([
    ['too long', () => `/tmp/${'x'.repeat(110)}`, /107 bytes/],
    ['below a file', () => `${join(folder, 'file')}/pv-ctrl`, /can't be made/],
  ])('at a path %s is a sentence, not a crash', async (_what, where, sentence) => {
    writeFileSync(join(folder, 'file'), '');
    expect(await new ControlSocket(where(), router).listen()).toMatch(sentence);
  });
});
