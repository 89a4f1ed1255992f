/** Network pools made real by pv-appengine: bridges, addresses, NAT; and nothing of them is left. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { has, isRoot, ORDINARY_USER, userNamespaces } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { AppEngineProcess } from './appengine-process.js';

const POOL = {
  type: 'bridge',
  bridge: 'pvxt-br0',
  subnet: '10.214.7.0/24',
  gateway: '10.214.7.1',
  nat: true,
};
/** A bridge that somebody else made. */
const OTHERS_BRIDGE = 'pvxt-br9';
const SERVE = `
const net = require('node:net');
console.log(require('node:os').hostname());
net.createServer((socket) => socket.end('served to ' + socket.remoteAddress)).listen(4000);`;
const ASK = `
const net = require('node:net');
const ask = (port, host) => net.connect(port, host)
  .on('error', () => setTimeout(ask, 100, port, host)) // again until it answers
  .on('data', (text) => console.log(String(text)));
ask(4000, '10.214.7.3');`;

/** Says what comes of a connection to each of its arguments, again and again. */
const TRY = `
const net = require('node:net');
const attempt = (host) => {
  const socket = net.connect({ host, port: 1, timeout: 500 });
  const over = (what) => { console.log(host, what); socket.destroy(); setTimeout(attempt, 200, host); }; // a rate
  socket.on('error', ({ code }) => over(code)).on('timeout', () => over('silent'));
};
process.argv.slice(1).forEach(attempt);`;
/** A network beyond the host: its namespace, and the host's end of the cable. */
const OUTSIDE = 'pvxt-out';

const has4 = ['setpriv', 'unshare', 'ip', 'nft'].every((tool) => has(tool));

describe.runIf(isRoot() && has4)('network pools of pv-appengine', () => {
  let engine: AppEngineProcess;
  const bridge = (name = POOL.bridge) => existsSync(`/sys/class/net/${name}`);
  const tables = () => execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' });
  beforeEach(() => {
    // What a killed run of these tests left behind.
    for (const name of [POOL.bridge, OTHERS_BRIDGE])
      if (bridge(name)) execFileSync('ip', ['link', 'del', name]);
    engine = new AppEngineProcess();
  });
  afterEach(() => engine.remove());

  const write = (pools: object = { internal: POOL }) =>
    engine.write({
      'client/run.json': { exec: ['node', '-e', ASK], network: { pool: 'internal' }, group: 'app' },
      'server/run.json': {
        exec: ['node', '-e', SERVE],
        group: 'app',
        auto_recovery: { policy: 'always' },
      },
      'server/args.json': { PV_NETWORK_POOL: 'internal', PV_NETWORK_HOSTNAME: 'net-server' },
      'server/services.json': [{ name: 'net', type: 'tcp', port: 4000 }],
      'device.json': {
        network: { pools },
        ingress: [{ name: 'in', type: 'tcp', external: '127.0.0.1:18077', service: 'net' }],
      },
    });

  test('each container has its address and name, and reaches the others', async () => {
    write();
    await engine.start(['--no-daemon']);
    await eventually(() => expect(engine.console('client')).toContain('served to'), {
      timeoutMs: 10_000,
    });
    expect(engine.console('client')).toMatch(/served to (::ffff:)?10\.214\.7\.2/);
    expect(engine.console('server')).toContain('net-server');
    const { body } = await engine.get('/xconnect-graph');
    expect(body[0].socket).toBe('10.214.7.3:4000');
    const rules = execFileSync('nft', ['list', 'table', 'inet', `pv-${POOL.bridge}`], {
      encoding: 'utf8',
    });
    expect(rules).toContain('masquerade');
  });

  test('the mesh reaches a provider at its pool address, from the host', async () => {
    write();
    await engine.start();
    await eventually(
      () => {
        const answer = execFileSync('nc.openbsd', ['-d', '127.0.0.1', '18077'], {
          encoding: 'utf8',
        });
        // Asked from within its own network: the address is its own.
        expect(answer).toMatch(/served to (::ffff:)?10\.214\.7\.3/);
      },
      { timeoutMs: 15_000, intervalMs: 100 },
    );
  });

  test('a container that was restarted, killed, or stopped and started has the same address again', async () => {
    write();
    await engine.start(['--no-daemon']);
    await engine.pidOf('server');
    for (let i = 0; i < 3; i++) {
      const { status } = await engine.ask('PUT', '/containers/server', { action: 'restart' });
      expect(status).toBe(200);
    }
    process.kill(await engine.pidOf('server'), 'SIGKILL');
    await eventually(() => expect(engine.said).toContain('server ended'));
    await engine.pidOf('server');
    for (const action of ['stop', 'start']) {
      expect((await engine.ask('PUT', '/containers/server', { action })).status).toBe(200);
    }
    const pid = await engine.pidOf('server');
    const address = ['-t', String(pid), '-n', 'ip', '-4', '-o', 'addr', 'show', 'dev', 'eth0'];
    expect(execFileSync('nsenter', address, { encoding: 'utf8' })).toContain('10.214.7.3/24');
    expect(engine.said).not.toContain('did not start');
  });

  test.each(['SIGINT', 'SIGKILL'] as const)('nothing is left of them after %s', async (signal) => {
    const forwarding = readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8');
    write();
    await engine.start(['--no-daemon']);
    await engine.pidOf('server');
    expect(bridge()).toBe(true);
    await engine.end(signal);
    await eventually(() => {
      expect(bridge()).toBe(false);
      expect(tables()).not.toContain(POOL.bridge);
      expect(existsSync('/sys/class/net/pv0ad60703')).toBe(false);
    });
    expect(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8')).toBe(forwarding);
  });

  test('what is left of them where their keeper was killed too is taken away by the next start', async () => {
    const forwarding = readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8');
    write();
    await engine.start(['--no-daemon']);
    await engine.pidOf('server');
    const [, keeper] = readFileSync(`/sys/class/net/${POOL.bridge}/ifalias`, 'utf8').split(' ');
    process.kill(Number(keeper), 'SIGKILL');
    await engine.end('SIGKILL');
    expect(bridge()).toBe(true);
    await engine.start(['--no-daemon']);
    await engine.pidOf('server');
    expect(await engine.end()).toBe(0);
    expect(bridge()).toBe(false);
    expect(tables()).not.toContain(POOL.bridge);
    expect(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8')).toBe(forwarding);
  });

  test('are kept apart from each other: without the rules the same connection is made', async () => {
    const lab = { type: 'bridge', bridge: OTHERS_BRIDGE, subnet: '10.214.8.0/24', nat: true };
    const tries = ASK.replace('() => setTimeout', '(error) => setTimeout').replace(
      'net.connect(port, host)',
      "net.connect({ port, host, timeout: 300 }).on('timeout', function () { console.log('kept apart'); this.destroy(new Error()); })",
    );
    write({ internal: POOL, lab });
    engine.write({
      'stranger/run.json': { exec: ['node', '-e', tries], network: { pool: 'lab' }, group: 'app' },
    });
    await engine.start(['--no-daemon']);
    await engine.untilSaid('client', 'served to');
    await engine.untilSaid('stranger', 'kept apart');
    expect(engine.console('stranger')).not.toContain('served to');
    for (const name of [POOL.bridge, OTHERS_BRIDGE]) {
      execFileSync('nft', ['flush', 'chain', 'inet', `pv-${name}`, 'forward']);
    }
    await engine.untilSaid('stranger', 'served to');
  });

  test('only a pool with nat reaches beyond the host; each reaches its own gateway', async () => {
    const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'pipe' });
    if (bridge(OUTSIDE)) ip('link', 'del', OUTSIDE);
    ip('netns', 'add', OUTSIDE);
    try {
      // Who is outside knows no way back to the pools.
      ip('link', 'add', OUTSIDE, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', OUTSIDE);
      ip('addr', 'add', '198.51.100.1/24', 'dev', OUTSIDE);
      ip('link', 'set', OUTSIDE, 'up');
      ip('-n', OUTSIDE, 'addr', 'add', '198.51.100.2/24', 'dev', 'eth0');
      ip('-n', OUTSIDE, 'link', 'set', 'eth0', 'up');
      const lab = { type: 'bridge', bridge: OTHERS_BRIDGE, subnet: '10.214.8.0/24', nat: false };
      write({ internal: POOL, lab });
      const tries = (pool: string, gateway: string) => ({
        exec: ['node', '-e', TRY, '198.51.100.2', gateway],
        network: { pool },
        group: 'app',
      });
      engine.write({
        'inner/run.json': tries('internal', '10.214.7.1'),
        'closed/run.json': tries('lab', '10.214.8.1'),
      });
      await engine.start(['--no-daemon']);
      // Nobody listens at that port, which whoever is reached says.
      await engine.untilSaid('inner', '198.51.100.2 ECONNREFUSED');
      await engine.untilSaid('inner', '10.214.7.1 ECONNREFUSED');
      await engine.untilSaid('closed', '198.51.100.2 silent');
      await engine.untilSaid('closed', '10.214.8.1 ECONNREFUSED');
      expect(engine.console('closed')).not.toContain('198.51.100.2 ECONNREFUSED');
      const rules = execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' });
      expect(rules.match(/10\.214\.7\.0\/24.*masquerade/g)).toHaveLength(1);
      expect(rules).not.toMatch(/10\.214\.8\.0\/24.*masquerade/);
    } finally {
      ip('netns', 'del', OUTSIDE);
    }
  });

  test('an address outside the pool, or of somebody else, keeps its container down and no other', async () => {
    write();
    const fixed = (address: string) => ({
      exec: ['sleep', '60'],
      group: 'app',
      network: { interfaces: [{ pool: 'internal', ipv4_address: address }] },
    });
    engine.write({
      'invalid/run.json': fixed('192.168.99.100'),
      'one/run.json': fixed('10.214.7.50'),
      'two/run.json': fixed('10.214.7.50'),
    });
    await engine.start(['--no-daemon']);
    const statuses = async () => {
      const { body } = await engine.get('/containers');
      return body.map(({ name, status }: Record<string, string>) => `${name} ${status}`);
    };
    await eventually(async () =>
      expect(await statuses()).toEqual([
        ...['client STARTED', 'invalid INSTALLED', 'one STARTED', 'server STARTED'],
        'two INSTALLED',
      ]),
    );
    expect(engine.said).toMatch(/invalid\/run\.json.*192\.168\.99\.100/);
    expect(engine.said).toMatch(/two\/run\.json.*10\.214\.7\.50/);
  });

  test('a container has fixed addresses, in pools of both families, and is reached at each', async () => {
    const six = { type: 'bridge', bridge: OTHERS_BRIDGE, subnet: 'fd42:214::/64' };
    write({ internal: POOL, six });
    engine.write({
      'server/args.json': {},
      'server/run.json': {
        exec: ['node', '-e', SERVE],
        group: 'app',
        network: {
          interfaces: [
            { pool: 'internal', ipv4_address: '10.214.7.3', mac_address: '02:12:34:56:78:9a' },
            { name: 'lan', pool: 'six', ipv4_address: 'fd42:214::77' },
          ],
        },
      },
      'visitor/run.json': {
        exec: ['node', '-e', ASK.replace('10.214.7.3', 'fd42:214::77')],
        group: 'app',
        network: { pool: 'six' },
      },
    });
    await engine.start(['--no-daemon']);
    await engine.untilSaid('visitor', 'served to fd42:214::2');
    await engine.untilSaid('client', 'served to');
    const pid = String(await engine.pidOf('server'));
    const links = execFileSync('nsenter', ['-t', pid, '-n', 'ip', '-o', 'link'], {
      encoding: 'utf8',
    });
    expect(links).toMatch(/eth0.*02:12:34:56:78:9a/);
    expect(links).toMatch(/lan@.*02:06:00:00:00:77/);
    expect(await engine.end()).toBe(0);
    expect([bridge(), bridge(OTHERS_BRIDGE)]).toEqual([false, false]);
  });

  test('a bridge that is not ours is left alone, said so, and tried again', async () => {
    execFileSync('ip', ['link', 'add', POOL.bridge, 'type', 'bridge']);
    try {
      write();
      await engine.start(['--no-daemon']);
      await eventually(() =>
        expect(engine.said).toContain(
          `server did not start: the pool internal can't be made: its bridge ${POOL.bridge} is on this host already`,
        ),
      );
    } finally {
      execFileSync('ip', ['link', 'del', POOL.bridge]);
    }
    await engine.pidOf('server');
    expect(bridge()).toBe(true);
  });

  test('a subnet that the host is in already is said so', async () => {
    execFileSync('ip', ['link', 'add', OTHERS_BRIDGE, 'type', 'bridge']);
    try {
      execFileSync('ip', ['addr', 'add', '10.214.0.9/16', 'dev', OTHERS_BRIDGE]);
      execFileSync('ip', ['link', 'set', OTHERS_BRIDGE, 'up']);
      write();
      await engine.start(['--no-daemon']);
      const why = `its subnet 10.214.7.0/24 meets 10.214.0.9/16 of ${OTHERS_BRIDGE} on this host`;
      await eventually(() => expect(engine.said).toContain(why));
      expect(bridge()).toBe(false);
    } finally {
      execFileSync('ip', ['link', 'del', OTHERS_BRIDGE]);
    }
  });

  test('a container whose pool is unknown is not started, the others are', async () => {
    write({ other: POOL });
    engine.write({ 'free/run.json': { exec: ['sleep', '60'] } });
    await engine.start(['--no-daemon']);
    expect(engine.said).toContain('found the pool "internal", expected one of "other"');
    await eventually(async () => {
      const { body } = await engine.get('/containers');
      const statuses = body.map((one: { name: string; status: string }) => [one.name, one.status]);
      expect(statuses).toEqual([
        ['client', 'INSTALLED'],
        ['free', 'STARTED'],
        ['server', 'INSTALLED'],
      ]);
    });
    const { status, body } = await engine.ask('PUT', '/containers/server', { action: 'start' });
    expect([status, body.Error]).toEqual([
      409,
      'server has no address of the pool "internal": correct that first.',
    ]);
  });

  test.runIf(userNamespaces())('a user who is not root is told that it needs one', async () => {
    write();
    await engine.start(['--no-daemon'], ['setpriv', ...ORDINARY_USER]);
    expect(engine.said).toContain('run pv-appengine as root, or let the container do without');
  });
});
