import { existsSync, readFileSync, readlinkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { AppEngineProcess } from './appengine-process.js';

/** Says what a container sees, then stays. */
const LOOK = `
process.on('SIGTERM', () => { console.log('bye'); process.exit(0); });
const fs = require('node:fs');
const write = (path) => {
  try {
    fs.writeFileSync(path, 'x');
    return 'written';
  } catch (error) {
    return error.code;
  }
};
console.log(JSON.stringify({
  cwd: process.cwd(),
  app: fs.readdirSync('/app').sort(),
  hostname: require('node:os').hostname(),
  args: process.argv.slice(2),
  pids: fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).length,
  run: fs.readdirSync('/run'),
  tmp: fs.readdirSync('/tmp'),
  written: Object.fromEntries(['/x', '/usr/x', '/etc/x', '/app/x', '/run/x', '/tmp/x', '/dev/x']
    .map((path) => [path, write(path)])),
  null: write('/dev/null'),
  interfaces: Object.keys(require('node:os').networkInterfaces()),
  secret: process.env.SECRET ?? null,
}));
setInterval(() => {}, 1000);`;

describe.runIf(isRoot() && has('setpriv') && has('unshare'))('containers of pv-appengine', () => {
  const engine = new AppEngineProcess();
  const NAME = 'web server; $(reboot)';
  const CLIENT = { group: 'app', services: { required: ['raw'] } };

  beforeAll(async () => {
    process.env.SECRET = 'of the host';
    engine.write({
      [`${NAME}/run.json`]: {
        exec: ['node', 'look.cjs', 'a b', '$HOME'],
        group: 'app',
        network: { mode: 'none' },
        auto_recovery: { policy: 'always' },
      },
      [`${NAME}/root/look.cjs`]: LOOK,
      [`${NAME}/services.json`]: [{ name: 'raw', type: 'unix', socket: '/run/raw.sock' }],
      'stubborn/run.json': {
        exec: ['sh', '-c', 'trap "" TERM; while :; do sleep 1; done'],
        ...CLIENT,
      },
      'sneaky/run.json': { exec: ['sh', '-c', 'ls -d /app; sleep 60'], ...CLIENT },
      'absent/run.json': { exec: ['no-such-program'], ...CLIENT },
      'idle/run.json': CLIENT,
      'system/run.json': {
        exec: ['sleep', '60'],
        restart_policy: 'system',
        ...CLIENT,
      },
    });
    symlinkSync('/', join(engine.revision, 'sneaky/root'));
    await engine.start(['--no-daemon']);
    delete process.env.SECRET;
  });
  afterAll(() => engine.remove());

  const seen = () =>
    eventually(() => JSON.parse(engine.console(NAME).split('\n')[0] as string), {
      timeoutMs: 10_000,
    });
  const container = async (name: string) => {
    const { body } = await engine.get('/containers');
    return body.find((one: { name: string }) => one.name === name);
  };

  test('have the pid in the graph that is the first one within', async () => {
    const pid = await engine.pidOf(NAME);
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(
      new RegExp(`^NSpid:\\s+${pid}\\s+1$`, 'm'),
    );
    for (const kind of ['mnt', 'pid', 'uts', 'ipc', 'net']) {
      const theirs = readlinkSync(`/proc/${pid}/ns/${kind}`);
      expect(theirs).not.toBe(readlinkSync(`/proc/self/ns/${kind}`));
    }
  });

  test('are in their own root by the time that the graph names them', async () => {
    const pid = await engine.pidOf(NAME);
    await engine.ask('PUT', `/containers/${encodeURIComponent(NAME)}`, { action: 'restart' });
    const next = await engine.pidOf(NAME);
    expect(next).not.toBe(pid);
    const [root] = readFileSync(`/proc/${next}/mountinfo`, 'utf8').split('\n');
    expect(root).toMatch(/ \/ \/ ro,\S* - tmpfs /);
  });

  test('see the programs of the host read-only, and a /run, /tmp and /dev of their own', async () => {
    const { written, run, tmp, ...other } = await seen();
    expect([run, tmp, other.null]).toEqual([[], [], 'written']);
    expect(written).toEqual({
      '/x': 'EROFS',
      '/usr/x': 'EROFS',
      '/etc/x': 'EROFS',
      '/app/x': 'EROFS',
      '/run/x': 'written',
      '/tmp/x': 'written',
      '/dev/x': 'written',
    });
    expect(existsSync('/run/x')).toBe(false);
  });

  test('see no other process, the network only if they may, and nothing of our environment', async () => {
    const { pids, interfaces, secret } = await seen();
    expect(pids).toBe(2);
    expect(interfaces).toEqual(['lo']);
    expect(secret).toBeNull();
  });

  test('run their program in /app, with its arguments as they are, under their own name', async () => {
    const { cwd, app, args, hostname } = await seen();
    expect([cwd, app, args, hostname]).toEqual(['/app', ['look.cjs'], ['a b', '$HOME'], NAME]);
  });

  test('get no folder through a symlink', async () => {
    await eventually(() => expect(engine.console('sneaky')).toMatch(/\/app.*No such file/));
  });

  test('without a program stay down, with one that is missing say so', async () => {
    expect(await container('idle')).toMatchObject({ status: 'INSTALLED' });
    expect(engine.said).toContain('idle/run.json:/exec: found nothing');
    await eventually(() => expect(engine.said).toMatch(/absent ended \(exit code 127\)/));
    expect(engine.console('absent')).toContain('no-such-program: not found');
  });

  test('that are killed come back with another pid', async () => {
    const pid = await engine.pidOf(NAME);
    process.kill(pid, 'SIGKILL');
    await eventually(async () => {
      const next = await engine.pidOf(NAME);
      expect(next).not.toBe(pid);
    });
  });

  test('are stopped, started and restarted on request, and refuse what is not possible', async () => {
    const path = `/containers/${encodeURIComponent(NAME)}`;
    const looks = () => engine.console(NAME).split('"cwd"').length;
    const before = looks();
    expect((await engine.ask('PUT', path, { action: 'restart' })).status).toBe(200);
    await eventually(() => expect(looks()).toBe(before + 1));
    const stopped = await engine.ask('PUT', path, { action: 'stop' });
    expect(stopped).toMatchObject({
      status: 200,
      body: { name: NAME, status: 'STOPPED', user_stopped: 'true' },
    });
    const { body } = await engine.get('/xconnect-graph');
    expect(body[0]).toMatchObject({ provider: NAME, provider_pid: 0 });
    expect(engine.console(NAME)).toMatch(/bye\n$/);
    expect((await engine.ask('PUT', path, { action: 'stop' })).status).toBe(409);
    expect((await engine.ask('PUT', path, { action: 'start' })).status).toBe(200);
    expect((await engine.ask('PUT', path, { action: 'start' })).status).toBe(409);
    expect(await engine.pidOf(NAME)).toBeGreaterThan(0);
    expect((await engine.ask('PUT', path, { action: 'explode' })).status).toBe(400);
    expect((await engine.ask('PUT', '/containers/system', { action: 'stop' })).status).toBe(403);
    expect((await engine.ask('PUT', '/containers/idle', { action: 'start' })).status).toBe(409);
    expect((await engine.ask('PUT', '/containers/nobody', { action: 'stop' })).status).toBe(404);
  });

  test('that ignore SIGTERM are ended all the same', async () => {
    await eventually(async () => expect((await container('stubborn')).status).toBe('STARTED'));
    // Whoever asks is answered before it has ended: the clients of Pantavisor wait for 5 s at most.
    const stopped = await engine.ask('PUT', '/containers/stubborn', { action: 'stop' });
    expect(stopped.body).toMatchObject({ status: 'STOPPING', user_stopped: 'true' });
    await eventually(async () => expect((await container('stubborn')).status).toBe('STOPPED'), {
      timeoutMs: 15_000,
    });
    expect(engine.said).toContain('stubborn did not end within 5 s and is killed.');
  });

  test('are listed with their group, goal and policy', async () => {
    expect(await container('system')).toEqual({
      name: 'system',
      group: 'app',
      status: 'STARTED',
      status_goal: 'STARTED',
      restart_policy: 'system',
      roles: [],
    });
    const { body } = await engine.get('/groups');
    const app = body.find((group: { name: string }) => group.name === 'app');
    expect(app.containers).toContain('system');
  });
});
