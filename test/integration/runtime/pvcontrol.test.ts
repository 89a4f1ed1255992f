/**
 * What Pantavisor's clients say to pv-ctrl, word for word as they say it, and our own pvcontrol.
 *
 * Pantavisor's pvcontrol is a shell script over curl, or over a script of its own that writes HTTP/1.0 into `nc`: with a
 * Content-Length in every request, also of a GET, which it sends without shutting its side down; with `nc -N` for all
 * others; and with `-w 5`, after which `nc` has waited long enough. Exit codes come from the words of three errors.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { someBytes } from '../../support/some-bytes.js';
import { eventually } from '../../support/wait.js';
import { AppEngineProcess } from './appengine-process.js';

const PVCONTROL = fileURLToPath(new URL('../../../bin/pvcontrol', import.meta.url));

const shaOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

describe.runIf(isRoot() && has('unshare'))('the clients of Pantavisor', () => {
  const engine = new AppEngineProcess();
  const file = (name: string) => join(engine.folder, name);

  beforeAll(async () => {
    engine.write({
      'web/run.json': { exec: ['sleep', '600'], group: 'app' },
      'idle/run.json': { exec: ['sleep', '600'], group: 'platform' },
    });
    await engine.start(['--no-daemon']);
    await eventually(async () => {
      const { body } = await engine.get('/steps/current/progress');
      expect(body.status).toBe('DONE');
    });
  });
  afterAll(() => engine.remove());

  /** A request as the script over `nc` makes it. The head and the body that came back. */
  function nc(method: string, path: string, body: Buffer | string = '', fields: string[] = []) {
    const bytes = Buffer.from(body);
    const type = fields.some((one) => one.startsWith('Content-Type'))
      ? []
      : ['Content-Type: application/json'];
    const head = [
      `${method} ${path} HTTP/1.0`,
      'Host: localhost',
      ...fields,
      ...type,
      `Content-Length: ${bytes.length}`,
    ];
    const flags = method === 'GET' ? ['-w', '5'] : ['-N', '-w', '5'];
    const { stdout, status } = spawnSync('nc', [...flags, '-U', engine.pvCtrl], {
      input: Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), bytes]),
      maxBuffer: 64 * 1024 * 1024,
    });
    const end = stdout.indexOf('\r\n\r\n');
    const [first = ''] = stdout.toString('latin1', 0, end).split('\r\n');
    const text = stdout.subarray(end + 4);
    return { exit: status, code: Number(first.split(' ')[1]), bytes: text, text: text.toString() };
  }

  const json = (asked: { text: string }) => JSON.parse(asked.text);

  test.runIf(has('nc')).each([
    ['/containers', [{ name: 'idle' }, { name: 'web', user_stopped: 'false' }]],
    ['/groups', [{ name: 'data' }, { name: 'root' }, { name: 'platform' }, { name: 'app' }]],
    ['/daemons', []],
    ['/xconnect-graph', []],
    ['/objects', []],
    ['/steps', [{ name: '0', progress: { status: 'DONE' } }]],
    ['/steps/0', { '#spec': 'pantavisor-service-system@1' }],
    ['/steps/current/progress', { status: 'DONE', progress: 100 }],
    ['/user-meta', {}],
    ['/device-meta', { 'pantavisor.revision': '0' }],
    ['/config', { 'system.init.mode': 'appengine' }],
    ['/drivers', []],
  ])(
    'nc asks for %s and does not close: the answer comes, and the connection ends',
    (path, body) => {
      const asked = nc('GET', path);
      expect([asked.exit, asked.code]).toEqual([0, 200]);
      expect(json(asked)).toMatchObject(body);
    },
  );

  test.runIf(has('nc'))(
    'nc puts objects of any size, with the coding that its script names',
    () => {
      const large = someBytes(3 * 1024 * 1024 + 7);
      const fields = ['Content-Type: application/octet-stream', 'Transfer-Encoding: identity'];
      for (const bytes of [Buffer.from('small\n'), Buffer.alloc(0), large]) {
        const put = nc('PUT', `/objects/${shaOf(bytes)}`, bytes, fields);
        expect([put.exit, put.code]).toEqual([0, 200]);
        expect(nc('GET', `/objects/${shaOf(bytes)}`).bytes.equals(bytes)).toBe(true);
      }
      expect(json(nc('GET', '/objects'))).toContainEqual({
        sha256: shaOf(large),
        size: String(large.length),
      });
      const wrong = nc('PUT', `/objects/${'a'.repeat(64)}`, 'x', fields);
      expect([wrong.code, wrong.text.trim()]).toEqual([422, '{"Error":"Object has bad checksum"}']);
    },
  );

  test.runIf(has('nc'))('nc saves, replaces and deletes metadata', () => {
    for (const meta of ['/user-meta', '/device-meta']) {
      expect(nc('PUT', `${meta}/test-key`, 'value 1').code).toBe(200);
      expect(nc('PUT', `${meta}/test-key`, 'value 2').code).toBe(200);
      expect(json(nc('GET', meta))['test-key']).toBe('value 2');
      expect(nc('DELETE', `${meta}/test-key`).code).toBe(200);
      expect(nc('DELETE', `${meta}/test-key`).code).toBe(404);
    }
  });

  test.runIf(has('nc'))('nc controls containers, and is told what may not be', () => {
    const put = (name: string, action: string) =>
      nc('PUT', `/containers/${name}`, JSON.stringify({ action })).code;
    expect(put('idle', 'stop')).toBe(403);
    expect(put('nobody', 'stop')).toBe(404);
    expect(put('web', 'stop')).toBe(200);
    expect(put('web', 'stop')).toBe(409);
    expect(json(nc('GET', '/containers'))[1]).toMatchObject({
      status: 'STOPPED',
      user_stopped: 'true',
    });
    expect(put('web', 'start')).toBe(200);
    expect(put('web', 'restart')).toBe(200);
    expect(json(nc('GET', '/containers'))[1]).toMatchObject({
      status: 'STARTED',
      user_stopped: 'false',
    });
  });

  test.runIf(has('nc'))('nc gives commands; those that are not here are 501 by name', () => {
    const command = (op: string) => nc('POST', '/commands', JSON.stringify({ op, payload: '' }));
    expect(command('RUN_GC').code).toBe(200);
    expect(command('XCONNECT_GRAPH').code).toBe(200);
    expect(command('ENABLE_SSH')).toMatchObject({
      code: 501,
      text: expect.stringContaining('ENABLE_SSH'),
    });
    expect(nc('POST', '/commands', 'nonsense').code).toBe(400);
    // A signal is a container's; from the host nobody has sent it.
    expect(nc('POST', '/signal', '{"type":"ready","payload":""}').code).toBe(400);
    expect(nc('PUT', '/drivers/load').code).toBe(200);
  });

  test.runIf(has('curl'))(
    'curl, as their script calls it, puts an object, a state and its message',
    () => {
      const curl = (...args: string[]) =>
        spawnSync('curl', ['-s', '-w', '\n%{http_code}', '--unix-socket', engine.pvCtrl, ...args], {
          encoding: 'utf8',
        }).stdout;
      const bytes = Buffer.from('by curl');
      writeFileSync(file('object'), bytes);
      const identity = ['-H', 'Transfer-Encoding: identity', '-T', file('object')];
      const type = ['-H', 'Content-Type: application/octet-stream'];
      const object = `http://localhost/objects/${shaOf(bytes)}`;
      expect(curl('-X', 'PUT', ...type, ...identity, object)).toMatch(/\n200$/);
      expect(curl('-X', 'GET', object)).toBe('by curl\n200');
      writeFileSync(file('state'), JSON.stringify({ '#spec': 'pantavisor-service-system@1' }));
      const step = 'http://localhost/steps/locals/by-curl';
      expect(curl('-X', 'PUT', '--upload-file', file('state'), step)).toMatch(/\n200$/);
      expect(curl('-X', 'PUT', '--data', 'a message', `${step}/commitmsg`)).toMatch(/\n200$/);
      expect(curl('-X', 'GET', 'http://localhost/steps')).toContain('"commitmsg":"a message"');
    },
  );

  /** Our own. */
  function ours(...args: string[]): Promise<[number, string, string]> {
    return new Promise((resolve) => {
      const child = spawn(process.execPath, [PVCONTROL, '-s', engine.pvCtrl, ...args]);
      const said = { stdout: '', stderr: '' };
      child.stdout.on('data', (chunk) => {
        said.stdout += chunk;
      });
      child.stderr.on('data', (chunk) => {
        said.stderr += chunk;
      });
      child.on('close', (code) => resolve([code ?? -1, said.stdout, said.stderr]));
      child.stdin.end('by ours');
    });
  }

  test('our pvcontrol prints what the runtime answers, and nothing where something was done', async () => {
    const [code, stdout] = await ours('containers', 'ls');
    expect([code, JSON.parse(stdout)]).toEqual([0, (await engine.get('/containers')).body]);
    expect(await ours('usrmeta', 'save', 'greeting', 'hello world')).toEqual([0, '', '']);
    expect(await ours('usrmeta', 'ls')).toEqual([0, '{"greeting":"hello world"}\n', '']);
    expect(await ours('usrmeta', 'delete', 'greeting')).toEqual([0, '', '']);
    expect(await ours('usrmeta', 'ls')).toEqual([0, '{}\n', '']);
    expect((await ours('buildinfo'))[1]).toMatch(/^pv-appengine /);
    expect((await ours('storage', 'gc'))[1]).toMatch(/^{"reclaimed":\d+}\n$/);
  });

  test('our pvcontrol has the exit codes of theirs', async () => {
    const other = 'b'.repeat(64);
    writeFileSync(file('object'), 'x');
    writeFileSync(file('state'), '{"no":"spec"}');
    const codes = [
      await ours('objects', 'put', file('object'), other),
      await ours('steps', 'put', file('state'), 'locals/bad'),
      await ours('usrmeta', 'delete', 'nothing'),
      await ours('cmd', 'enable-ssh'),
      await ours('cmd', 'run', 'locals/nothing'),
      await ours('nothing'),
      await ours('objects', 'put', file('not-there'), other),
    ];
    expect(codes.map(([code]) => code)).toEqual([60, 70, 255, 255, 255, 1, 1]);
    expect(codes[0]?.[2]).toMatch(/^{"Error":"Object has bad checksum"}\n.*SHA-256/);
    expect(codes[1]?.[2]).toContain('its "#spec" is nothing');
    const nobody = spawnSync(process.execPath, [PVCONTROL, '-s', '/nothing', 'ls'], {
      encoding: 'utf8',
    });
    expect([nobody.status, nobody.stdout]).toEqual([1, 'ERROR: /nothing not found\n']);
  });

  test('our pvcontrol puts and gets objects, from a file, from standard input, to a file', async () => {
    const bytes = Buffer.from('by ours');
    const sha = shaOf(bytes);
    expect(await ours('objects', 'put', `-${bytes.length}`, sha)).toEqual([0, '', '']);
    expect(await ours('objects', 'get', sha)).toEqual([0, 'by ours', '']);
    expect(await ours('-f', file('got'), 'objects', 'get', sha)).toEqual([0, '', '']);
    expect(readFileSync(file('got'), 'utf8')).toBe('by ours');
  });

  test('our pvcontrol installs an export: its objects, then its state', async () => {
    const bytes = Buffer.from('a file of the container');
    const sha = shaOf(bytes);
    const state = { '#spec': 'pantavisor-service-system@1', 'web/data': sha };
    const make = `mkdir -p export/objects && cd export && cat > json && printf '%s' '${bytes}' > objects/${sha} && tar czf ../export.tgz json objects`;
    spawnSync('sh', ['-c', make], { cwd: engine.folder, input: JSON.stringify(state) });
    const install = ['-m', 'an export', 'steps', 'install', file('export.tgz')];
    const [code, stdout, stderr] = await ours(...install, 'locals/installed');
    expect([code, stdout, stderr]).toEqual([0, '{"revision":"locals/installed"}\n', '']);
    expect((await engine.get('/steps/locals/installed')).body).toEqual(state);
    const { body } = await engine.get('/steps');
    expect(body).toContainEqual(
      expect.objectContaining({ name: 'locals/installed', commitmsg: 'an export' }),
    );
    expect(await ours('objects', 'get', sha)).toEqual([0, String(bytes), '']);
    const [again, name] = await ours('steps', 'install', file('export.tgz'));
    expect([again, JSON.parse(name).revision]).toMatchObject([
      0,
      expect.stringMatching(/^locals\/[0-9a-f]{64}$/),
    ]);
  });

  test.each([
    [
      'a link to a file of whoever installs it',
      'ln -s /etc/hostname json; mkdir objects',
      /has no json and objects\/ in it/,
    ],
    [
      'a link to a folder of theirs',
      'echo {} > json; ln -s /etc objects',
      /has no json and objects\/ in it/,
    ],
    [
      'far more than its size',
      'echo {} > json; mkdir objects; truncate -s 70M objects/x',
      /unpacks to more than 67108864 bytes|max decompression ratio/,
    ],
  ])('our pvcontrol installs no export that has %s', async (_what, make, why) => {
    const script = `rm -rf evil; mkdir evil; cd evil; ${make}; tar czf ../evil.tgz json objects`;
    spawnSync('sh', ['-c', script], { cwd: engine.folder });
    const [code, stdout, stderr] = await ours('steps', 'install', file('evil.tgz'), 'locals/evil');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(why);
    expect((await engine.get('/steps/locals/evil')).status).toBe(404);
  });

  test.runIf(has('script'))('our pvcontrol prints a table at a terminal', () => {
    const line = `${process.execPath} ${PVCONTROL} -s ${engine.pvCtrl} ls`;
    const { stdout } = spawnSync('script', ['-qec', line, '/dev/null'], { encoding: 'utf8' });
    expect(stdout).toMatch(/^NAME +GROUP +STATUS +STATUS GOAL +RESTART POLICY/m);
    expect(stdout).toMatch(/^web +app +STARTED/m);
  });
});
