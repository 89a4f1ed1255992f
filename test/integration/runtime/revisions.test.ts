/**
 * Revisions of a running pv-appengine: one is put and taken up while traffic goes on, one that does not work is taken
 * back, one that is being tried when everything is killed as well; and what is on the disk in between.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { eventually, pause } from '../../support/wait.js';
import { AppEngineProcess } from './appengine-process.js';

/** Answers each line with its number, for as long as the connection lasts. */
const SERVE = `
  const fs = require('node:fs');
  fs.mkdirSync('/run/example', { recursive: true });
  require('node:net').createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => socket.write(data));
  }).listen('/run/example/raw.sock');
  process.on('SIGTERM', () => process.exit(0));`;

/** One connection for ever: it says each hundredth number that came back as it was sent, and when one did not. */
const TALK = `
  const net = require('node:net');
  process.on('SIGTERM', () => process.exit(0));
  const connect = () => {
    const socket = net.connect('/run/pv/services/raw.sock');
    let next = 0;
    let heard = '';
    socket.on('connect', () => { console.log('connected'); socket.write(next + '\\n'); });
    socket.on('data', (data) => {
      heard += data;
      while (heard.includes('\\n')) {
        const at = heard.indexOf('\\n');
        if (heard.slice(0, at) !== String(next)) console.log('WRONG ' + heard.slice(0, at));
        heard = heard.slice(at + 1);
        next++;
        if (next % 100 === 0) console.log('heard ' + next);
        // The pace of the traffic.
        setTimeout(() => socket.write(next + '\\n'), 1);
      }
    });
    socket.on('error', () => {});
    // The pace of a client that comes again.
    socket.on('close', () => { if (next > 0) console.log('CLOSED'); setTimeout(connect, 50); });
  };
  connect();`;

const RAW = [{ name: 'raw', type: 'unix', socket: '/run/example/raw.sock' }];
const SERVER = { exec: ['node', '-e', SERVE], group: 'app' };
const CLIENT = { exec: ['node', '-e', TALK], group: 'app', services: { required: ['raw'] } };
const SLEEP = { exec: ['sleep', '600'], group: 'app' };
/** For a machine that is busy. */
const LONG = { timeoutMs: 20_000 };
const SPEC = { '#spec': 'pantavisor-service-system@1' };
const FIRST = {
  ...SPEC,
  'server/run.json': SERVER,
  'server/services.json': { '#spec': 'service-manifest-xconnect@1', services: RAW },
  'client/run.json': CLIENT,
  'other/run.json': SLEEP,
};

describe.runIf(isRoot() && has('unshare'))('revisions of pv-appengine', () => {
  let engine: AppEngineProcess;
  beforeEach(() => {
    engine = new AppEngineProcess();
    mkdirSync(engine.revision);
    writeFileSync(join(engine.folder, 'first.json'), JSON.stringify(FIRST));
  });
  afterEach(() => engine.remove());

  const startFirst = (...args: string[]) =>
    engine.startWith([join(engine.folder, 'first.json'), ...args]);

  const put = async (name: string, state: object) =>
    (await engine.ask('PUT', `/steps/${name}`, state)).status;
  const run = (payload: string) => engine.ask('POST', '/commands', { op: 'LOCAL_RUN', payload });
  const progress = async (name: string) => (await engine.get(`/steps/${name}/progress`)).body;
  const becomes = (name: string, status: string) =>
    eventually(async () => expect((await progress(name)).status).toBe(status), {
      timeoutMs: 30_000,
      intervalMs: 100,
    });
  const pids = async () => {
    const { body } = await engine.get('/xconnect-graph');
    return [body[0].consumer_pid, body[0].provider_pid];
  };

  test('are taken up while the connections of unchanged containers go on', async () => {
    await startFirst();
    await engine.untilSaid('client', 'heard 100');
    const before = await pids();
    const next = {
      ...FIRST,
      'other/run.json': { ...SLEEP, roles: ['x'] },
      'third/run.json': SLEEP,
    };
    expect(await put('locals/next', next)).toBe(200);
    expect((await run('locals/next')).status).toBe(200);
    await becomes('locals/next', 'DONE');
    const heard = engine.console('client').match(/heard/g)?.length ?? 0;
    await eventually(
      () => expect(engine.console('client').match(/heard/g)?.length).toBeGreaterThan(heard + 2),
      LONG,
    );
    expect(engine.console('client')).not.toMatch(/WRONG|CLOSED/);
    expect(engine.console('client').match(/connected/g)).toHaveLength(1);
    expect(await pids()).toEqual(before);
    const { body } = await engine.get('/containers');
    expect(body.map(({ name, status }: Record<string, string>) => [name, status])).toEqual([
      ['client', 'STARTED'],
      ['other', 'STARTED'],
      ['server', 'STARTED'],
      ['third', 'STARTED'],
    ]);
    expect(engine.said).toContain('The revision locals/next: status is now READY.');
    expect((await engine.get('/steps/current')).body).toEqual(next);

    // The links of a changed provider are made anew, and its consumer goes on.
    const changed = { ...next, 'server/run.json': { ...SERVER, roles: ['y'] } };
    expect(await put('locals/changed', changed)).toBe(200);
    expect((await run('locals/changed')).status).toBe(200);
    await becomes('locals/changed', 'DONE');
    await eventually(() => expect(engine.console('client').match(/connected/g)).toHaveLength(2), {
      timeoutMs: 15_000,
    });
    expect((await pids())[0]).toBe(before[0]);

    // What was taken up last goes on after the end, with and without the command line's.
    await engine.end();
    for (const args of [[join(engine.folder, 'first.json')], []]) {
      await engine.startWith([...args, '--no-daemon']);
      expect((await engine.get('/steps/current')).body).toEqual(changed);
      await engine.end();
    }
  });

  test('that do not work are taken back, and say why', async () => {
    await startFirst('--no-daemon');
    await becomes('current', 'DONE');
    const before = await pids();
    const recovery = { policy: 'on-failure', max_retries: 1, stable_timeout: 30 };
    const bad = { exec: ['sh', '-c', 'exit 3'], group: 'app', auto_recovery: recovery };
    expect(await put('locals/bad', { ...FIRST, 'other/run.json': bad })).toBe(200);
    expect((await run('locals/bad')).status).toBe(200);
    await becomes('locals/bad', 'ERROR');
    expect((await progress('locals/bad'))['status-msg']).toMatch(
      /^other has failed.*rolled back to 0$/,
    );
    await eventually(async () => {
      expect((await engine.get('/steps/current')).body).toEqual(FIRST);
      const { body } = await engine.get('/containers');
      expect(body[1]).toMatchObject({ name: 'other', status: 'STARTED' });
    }, LONG);
    expect(await pids()).toEqual(before);
    const missing = { ...FIRST, 'other/root.squashfs': 'a'.repeat(64) };
    expect(await put('locals/missing', missing)).toBe(422);
    expect((await run('locals/missing')).status).toBe(404);
    expect((await run('../x')).status).toBe(404);
  });

  test('that are being tried when it is killed are taken back at the next start', async () => {
    await startFirst('--no-daemon');
    await becomes('current', 'DONE');
    const stable = { ...SLEEP, auto_recovery: { policy: 'always', stable_timeout: 600 } };
    expect(await put('locals/tried', { ...FIRST, 'other/run.json': stable })).toBe(200);
    expect((await run('locals/tried')).status).toBe(200);
    await becomes('locals/tried', 'TESTING');
    // Meanwhile nothing else can be taken up, collected or started anew.
    expect((await run('0')).status).toBe(503);
    expect((await engine.ask('POST', '/storage/gc')).status).toBe(503);
    expect(await put('locals/tried', FIRST)).toBe(409);
    expect(await engine.end('SIGKILL')).toBe('SIGKILL');
    await eventually(() => expect(engine.processes()).toEqual([]), { timeoutMs: 15_000 });
    await engine.startWith(['--no-daemon']);
    expect((await engine.get('/steps/current')).body).toEqual(FIRST);
    expect(await progress('locals/tried')).toMatchObject({
      status: 'ERROR',
      'status-msg': 'pv-appengine ended while it was tried; 0 runs again',
    });
  });

  test('are taken up from the command line with --watch', async () => {
    engine.write({ 'web/run.json': SLEEP });
    await engine.startWith([engine.revision, '--watch', '--no-daemon']);
    await becomes('current', 'DONE');
    engine.write({ 'web/run.json': { ...SLEEP, roles: ['x'] } });
    await becomes('locals/watched-1', 'DONE');
    engine.write({ 'web/run.json': '{' });
    await eventually(
      () => expect(engine.said).toMatch(/web\/run\.json: found .*\nThe change is not taken up/),
      LONG,
    );
    expect((await engine.get('/containers')).body).toMatchObject([
      { name: 'web', status: 'STARTED' },
    ]);
  });

  test('that nobody needs any more go, also where it is killed in the middle of that', async () => {
    await startFirst('--no-daemon');
    await becomes('current', 'DONE');
    const objects = join(engine.folder, 'objects');
    mkdirSync(objects, { recursive: true });
    /** Put so long ago that no step is still to name it. */
    const object = (text: string) => {
      const sha = createHash('sha256').update(text).digest('hex');
      writeFileSync(join(objects, sha), text);
      utimesSync(join(objects, sha), 0, 0);
      return sha;
    };
    const next = (name: string) => ({ ...FIRST, 'other/data': object(name) });
    for (const name of ['locals/a', 'locals/b', 'locals/c']) {
      expect(await put(name, next(name))).toBe(200);
      expect((await run(name)).status).toBe(200);
      await becomes(name, 'DONE');
    }
    const names = async () =>
      (await engine.get('/steps')).body.map(({ name }: { name: string }) => name);
    // The first of them went when the third one was done.
    await eventually(async () => expect(await names()).toEqual(['0', 'locals/b', 'locals/c']));
    const logs = join(engine.folder, 'logs/locals');
    await eventually(() => expect(readdirSync(logs)).toEqual(['b', 'c']));

    for (const ms of [0, 2, 10]) {
      for (let i = 0; i < 200; i++) object(`nobody needs ${i}`);
      engine.ask('POST', '/storage/gc').catch(() => undefined); // it is killed before it answers
      await pause(ms); // any moment is one to be killed at
      await engine.end('SIGKILL');
      await eventually(() => expect(engine.processes()).toEqual([]), LONG);
      await engine.startWith(['--no-daemon']);
      expect((await engine.get('/steps/current')).body).toEqual(next('locals/c'));
      expect(await names()).toEqual(['0', 'locals/b', 'locals/c']);
      await becomes('current', 'DONE');
    }
    const { body } = await engine.ask('POST', '/storage/gc');
    expect(body.reclaimed).toBeGreaterThanOrEqual(0);
    const kept = ['locals/b', 'locals/c'].map((name) =>
      createHash('sha256').update(name).digest('hex'),
    );
    expect(readdirSync(objects).sort()).toEqual(kept.sort());
    expect((await run('locals/b')).status).toBe(200);
    await becomes('locals/b', 'DONE');
  });

  test.runIf(has('mount'))(
    'on a full disk are refused in the words that pvcontrol knows',
    async () => {
      const storage = join(engine.folder, 'small');
      mkdirSync(storage);
      spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', storage]);
      try {
        await startFirst('--no-daemon', '--storage', storage);
        await becomes('current', 'DONE');
        const bytes = Buffer.alloc(3 * 1024 * 1024, 'x');
        const sha = createHash('sha256').update(bytes).digest('hex');
        const said = await putBytes(engine.pvCtrl, sha, bytes, true);
        expect(said).toEqual([507, '{"Error":"Not enough disk space available"}\n']);
        // Also where nobody said how many bytes will come, and the disk is full in the middle of them.
        const unsaid = await putBytes(engine.pvCtrl, sha, bytes, false);
        expect(unsaid).toEqual(said);
        expect(readdirSync(join(storage, 'objects'))).toEqual([]);
        // What runs goes on, and there is room for what is smaller.
        const small = Buffer.from('small');
        const name = createHash('sha256').update(small).digest('hex');
        expect((await putBytes(engine.pvCtrl, name, small, true))[0]).toBe(200);
        expect(existsSync(join(storage, 'objects', name))).toBe(true);
        await engine.end();
      } finally {
        await engine.end();
        spawnSync('umount', [storage]);
      }
    },
  );

  test('commands start it all anew, and end it', async () => {
    await startFirst('--no-daemon');
    await becomes('current', 'DONE');
    const [before] = await pids();
    const command = (op: string) => engine.ask('POST', '/commands', { op, payload: 'for a test' });
    expect((await command('REBOOT_DEVICE')).status).toBe(200);
    await eventually(async () => {
      const [now] = await pids();
      expect(now).toBeGreaterThan(0);
      expect(now).not.toBe(before);
    }, LONG);
    await eventually(() =>
      expect(engine.ownLog()).toContain(
        'The revision 0 is started anew: as was asked: for a test.',
      ),
    );
    const exit = new Promise((resolve) => engine.process.once('exit', resolve));
    expect((await command('POWEROFF_DEVICE')).status).toBe(200);
    expect(await exit).toBe(0);
  });
});

/** Status and body. `isSaid`: whether the head has the number of bytes. */
function putBytes(
  socketPath: string,
  sha: string,
  bytes: Buffer,
  isSaid: boolean,
): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const headers = isSaid ? { 'Content-Length': bytes.length } : {};
    const path = `/objects/${sha}`;
    const request = http.request({ socketPath, method: 'PUT', path, headers, agent: false });
    request.on('error', reject);
    request.on('response', async (response) => {
      let text = '';
      for await (const chunk of response) text += String(chunk);
      resolve([response.statusCode ?? 0, text]);
    });
    if (!isSaid) request.flushHeaders();
    request.end(bytes);
  });
}
