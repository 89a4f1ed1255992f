import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { has, isRoot, ORDINARY_USER, userNamespaces } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { AppEngineProcess } from './appengine-process.js';

const FILES = {
  'server/run.json': { exec: ['node', '/app/server.cjs'] },
  'server/services.json': [{ name: 'raw', type: 'unix', socket: '/run/example/raw.sock' }],
  'server/root/server.cjs': `
    require('node:fs').mkdirSync('/run/example');
    require('node:net').createServer((socket) => socket.pipe(socket)).listen('/run/example/raw.sock');`,
  'client/run.json': { exec: ['sleep', '600'], services: { required: ['raw'] } },
};

/** Mounts of the host that could only be ours. */
function ourMounts(): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return mounts.filter((line) => line.includes('/sys/root') || line.includes(engine.folder));
}

let engine: AppEngineProcess;
beforeEach(() => {
  engine = new AppEngineProcess();
  engine.write(FILES);
});
afterEach(() => engine.remove());

async function expectNothingLeft(): Promise<void> {
  await eventually(() => expect(engine.processes()).toEqual([]));
  const kept = ['device-meta', 'logs', 'revision', 'trails', 'user-meta'];
  expect(readdirSync(engine.folder).filter((name) => !kept.includes(name))).toEqual([]);
}

describe.runIf(isRoot() && has('setpriv') && has('unshare'))('pv-appengine', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    'ends in order at %s, and leaves nothing',
    async (signal) => {
      await engine.start();
      await eventually(() => expect(existsSync(engine.control)).toBe(true), { timeoutMs: 10_000 });
      await Promise.all([engine.pidOf('server'), engine.pidOf('client')]);
      expect(ourMounts()).toEqual([]);
      expect(await engine.end(signal)).toBe(0);
      await expectNothingLeft();
      expect(ourMounts()).toEqual([]);
    },
  );

  test('ends in order in the middle of its start', async () => {
    await engine.start();
    expect(await engine.end()).toBe(0);
    await expectNothingLeft();
  });

  test('takes containers and daemon along when it is killed', async () => {
    await engine.start();
    await eventually(() => expect(existsSync(engine.control)).toBe(true), { timeoutMs: 10_000 });
    await engine.pidOf('client');
    expect(await engine.end('SIGKILL')).toBe('SIGKILL');
    await eventually(() => expect(engine.processes()).toEqual([]), { timeoutMs: 15_000 });
    // The next one replaces the socket that was left.
    await engine.start();
    expect(await engine.end()).toBe(0);
    await expectNothingLeft();
  });

  test('refuses a socket that another one serves, and disturbs nothing', async () => {
    await engine.start(['--no-daemon']);
    const pid = await engine.pidOf('client');
    const argv = [...engine.process.spawnargs.slice(1)];
    const second = spawnSync(process.execPath, argv, { encoding: 'utf8', timeout: 20_000 });
    expect(second.status).toBe(1);
    expect(second.stderr).toMatch(/^pv-appengine: .* is served by another runtime: .*\n$/);
    expect(await engine.pidOf('client')).toBe(pid);
  });

  test('makes its socket for owner and group alone', async () => {
    await engine.start(['--no-daemon']);
    expect(statSync(engine.pvCtrl).mode & 0o777).toBe(0o660);
  });

  test.each([
    ['nothing there', () => join(engine.folder, 'none'), /path-missing|none/],
    ['an empty folder', () => join(engine.folder, 'empty'), /revision/],
  ])('says with %s what is wrong, exit 1', async (_what, path, sentence) => {
    mkdirSync(join(engine.folder, 'empty'));
    engine.launch(['--no-daemon', path()]);
    const [code] = await once(engine.process, 'exit');
    expect(code).toBe(1);
    expect(engine.said).toMatch(sentence);
    expect(engine.said).not.toMatch(/\n\s+at /);
  });

  test('says that its storage can not be used, exit 1', async () => {
    engine.launch(['--storage', join(engine.revision, 'server/run.json'), engine.revision]);
    expect((await once(engine.process, 'close'))[0]).toBe(1);
    expect(engine.said).toMatch(
      /^pv-appengine: .*run\.json can't be used \(EEXIST.*give another --storage\.$/m,
    );
  });

  test('says what of its storage it can not read, and why', async () => {
    mkdirSync(join(engine.folder, 'trails/boot'), { recursive: true });
    mkdirSync(join(engine.folder, 'trails/0/.pv/progress'), { recursive: true });
    engine.write({ 'a/run.json': { exec: ['true'], group: 'app' } });
    engine.launch(['--no-daemon', engine.revision]);
    expect((await once(engine.process, 'close'))[0]).toBe(1);
    expect(engine.said).toMatch(
      /^pv-appengine: .*trails\/0\/\.pv\/\S+ can't be used \(EISDIR.*see to it/m,
    );
  });

  test.each([[['--rootless', 'perhaps', '.']], [['--nonsense', '.']]])(
    'exits with 2 for %j',
    async (args) => {
      engine.launch(args);
      expect((await once(engine.process, 'exit'))[0]).toBe(2);
    },
  );

  test('runs what works of a revision that has problems, and names them', async () => {
    engine.write({ 'broken/run.json': '{', 'client/args.json': { PV_GROUP: 'nowhere' } });
    await engine.start(['--no-daemon']);
    await engine.pidOf('server');
    expect(engine.said).toMatch(
      /^broken\/run\.json: found the end of the file at line 1, column 2/m,
    );
    expect(engine.said).toMatch(/^client\/args\.json:\/PV_GROUP: found "nowhere"/m);
  });

  test('keeps a group waiting for the one before it', async () => {
    engine.write({
      'server/args.json': { PV_GROUP: 'root' },
      'client/args.json': { PV_GROUP: 'app' },
      'device.json': { groups: [{ name: 'root', timeout: 20 }, { name: 'app' }] },
    });
    await engine.start(['--no-daemon']);
    await engine.pidOf('client');
    const order = [...engine.said.matchAll(/^(\w+) is running/gm)].map(([, name]) => name);
    expect(order).toEqual(['server', 'client']);
  });
});

describe.runIf(isRoot() && userNamespaces())('pv-appengine of an ordinary user', () => {
  const read = `require('node:fs').accessSync(${JSON.stringify(import.meta.filename)})`;
  const reachable = () =>
    spawnSync('setpriv', [...ORDINARY_USER, process.execPath, '-e', read]).status === 0;

  test('runs its containers in a user namespace, and leaves nothing', async () => {
    // In a checkout below /root, say, no one else could even start it: then root plays the user.
    const prefix = reachable() ? ['setpriv', ...ORDINARY_USER] : [];
    await engine.start(prefix.length > 0 ? [] : ['--rootless', 'always'], prefix);
    const pid = await engine.pidOf('client');
    const map = readFileSync(`/proc/${pid}/uid_map`, 'utf8').trim().split(/\s+/);
    expect(map).toEqual(['0', prefix.length > 0 ? '1000' : '0', '1']);
    await eventually(() => expect(existsSync(engine.control)).toBe(true), { timeoutMs: 10_000 });
    expect(await engine.end()).toBe(0);
    await expectNothingLeft();
  });

  test('takes everything along when it is killed', async () => {
    await engine.start(['--rootless', 'always', '--no-daemon']);
    await engine.pidOf('client');
    expect(await engine.end('SIGKILL')).toBe('SIGKILL');
    await expectNothingLeft();
  });

  test('says what is in the way where it may not', async () => {
    const prefix = reachable() ? ['setpriv', ...ORDINARY_USER] : ['unshare', '--user'];
    engine.launch(['--rootless', 'never', engine.revision], prefix);
    const [code] = await once(engine.process, 'close');
    expect(code).toBe(1);
    expect(engine.said).toMatch(/^pv-appengine: Only root can do this/);
  });
});
