/**
 * Faults that were made on purpose, as `pv-xconnect explain` tells them: faults.txt has each, with the whole text. Its
 * first ✗ names the cause, and what is to be done about it.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { CONFIG, USERS } from '../dbus/support.js';
import { SeenMesh } from './support.js';

const PEER = readFileSync(new URL('../unix/peer.py', import.meta.url), 'utf8');
const FAULTS = readFileSync(new URL('./faults.txt', import.meta.url), 'utf8');
/** Takes whoever connects, and says nothing. */
const MUTE = `import socket
s = socket.socket(socket.AF_UNIX); s.bind("/run/s/mute"); s.listen(64); print("ready", flush=True)
kept = []
while True: kept.append(s.accept())`;
/** Of a type of its own, for which it always fails. */
const PLUGIN = `export default {
  types: ['gauge'],
  options: { requirement: { unit: { enum: ['bar', 'pascal'], description: '"bar" or "pascal"' } } },
  async attach() { throw new Error('the gauge is not calibrated'); },
};`;

const unix = (name: string, more = {}) => ({
  ...{ name, type: 'unix', socket: `/run/s/${name}` },
  ...more,
});
const SERVICES = [
  ...[unix('works'), unix('absent'), unix('file'), unix('stale'), unix('private')],
  unix('guarded', { allow: ['operators'] }),
  ...[unix('occupied'), unix('blocked'), unix('long'), unix('twice')],
  unix('relative', { socket: 'run/relative' }),
  { name: 'port', type: 'tcp', port: 7001 },
  { name: 'elsewhere', type: 'tcp', port: 7002 },
  { name: 'taken', type: 'tcp', port: 7002 },
  { name: 'card', type: 'drm', socket: '/dev/dri/card9' },
  { name: 'null', type: 'drm', socket: '/dev/null' },
  { name: 'keys', type: 'input', match: { name: 'No such keyboard' } },
  unix('bus', { type: 'dbus' }),
  unix('mute', { type: 'dbus' }),
  unix('screen', { type: 'wayland' }),
  unix('window', { type: 'wayland', socket: '/run/s/stale' }),
  unix('api', { type: 'rest' }),
  unix('ruled', { type: 'rest', rules: { '*': ['GET /status'] } }),
  { name: 'site', type: 'http', port: 7003 },
  { name: 'sick', type: 'http', port: 7002 },
  unix('pressure', { type: 'gauge' }),
  unix('level', { type: 'gauge' }),
  unix('odd', { type: 'gadget' }),
];
const ENDED = { how: 'exit code 3', times: 4, log: '/var/log/off.log' };
const FILES = {
  'server/services.json': { '#spec': 'service-manifest-xconnect@1', services: SERVICES },
  'off/services.json': [unix('stopped')],
  'silent/services.json': [unix('untold')],
  'host/services.json': [unix('foreign')],
  'nameless/services.json': [unix('unnamed')],
  'door/services.json': [
    { type: 'dbus', bus: 'system-bus', owns: 'org.example.Door1', role: 'door', allow: ['guest'] },
  ],
  'idle/run.json': { services: { required: ['works'] } },
  'client/run.json': {
    services: {
      required: [
        ...[
          'works',
          'absent',
          'file',
          'stale',
          'wroks',
          'stopped',
          'untold',
          'foreign',
          'relative',
        ],
        { name: 'private', role: '4711' },
        { name: 'guarded', role: 'operator' },
        { name: 'occupied', target: '/run/occupied' },
        { name: 'blocked', target: '/run/occupied/below' },
        { name: 'long', target: `/${'x'.repeat(120)}` },
        'twice',
        { name: 'twice', target: '/run/pv/services/twice.sock' },
        { name: 'unnamed', role: 'somebody' },
        { name: 'port', target: '127.0.0.1:7101' },
        { name: 'elsewhere', target: '203.0.113.9:7102' },
        { name: 'taken', target: '127.0.0.1:7100' },
        ...['card', 'null', 'keys', 'bus', 'mute', 'screen'],
        { name: 'window', target: '/run/wayland-1' },
        { name: 'card', access: 'ro', target: '/dev/dri/card1' },
        { name: 'works', type: 'drm', target: '/dev/works' },
        'api',
        { name: 'ruled', type: 'unix' },
        { name: 'site', target: '127.0.0.1:7103/x' },
        { name: 'site', target: '127.0.0.1:7101' },
        { name: 'sick', target: '127.0.0.1:7103/y', health: { path: '/health', interval: 0.1 } },
        { name: 'system-bus', role: 'guest', names: ['org.example.Dor1'] },
        { name: 'system-bus', role: 'guest', type: 'rest', target: '/run/rest-bus' },
        { name: 'system-bus', role: 'guest', target: '/run/occupied' },
        ...['pressure', 'odd'],
        { name: 'level', unit: 'furlong' },
      ],
    },
  },
  'device.json': {
    ingress: [
      { type: 'tcp', external: '203.0.113.1:7203', service: 'port' },
      {
        ...{ type: 'http', external: '127.0.0.1:7204', service: 'site' },
        tls: { cert: 'no.pem', key: 'no.key' },
      },
    ],
  },
};

/** What is another one each time is called by a name. */
function steady(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/\bpid \d+/g, 'pid PID')
    .replaceAll(plugins, 'FOLDER')
    .replace(/\d+ (open of) \d+, \d+ (bytes to the provider), \d+ to/g, 'N $1 N, N $2, N to')
    .replace(/(; ended: |; )[^;\n]*did not reach the provider|; ended: .*/g, '');
}

const plugins = mkdtempSync(join(tmpdir(), 'pvx-gauge-'));
const mesh = new SeenMesh('--patience', '1', '--plugin', join(plugins, 'gauge.mjs'));

/** By the first line of each: who to what, where, and its state. */
async function told(consumer: string): Promise<Map<string, string>> {
  const { out } = await mesh.command('explain', consumer);
  const chains = steady(out).trimEnd().split('\n\n');
  return new Map(chains.map((chain) => [keyOf(chain), chain]));
}

/** Two requirements of one target are told apart by the state that only one of them has. */
const keyOf = (chain: string) => chain.split('\n', 1)[0] ?? '';

const EXPECTED = FAULTS.split(/^# /m)
  .slice(1)
  .map((section) => {
    const [title = '', ...lines] = section.trimEnd().split('\n');
    const chain = lines.join('\n');
    return { title, chain, key: keyOf(chain) };
  });

describe.runIf(isRoot() && has('dbus-daemon'))('faults of links', () => {
  beforeAll(async () => {
    const [server, client, nameless] = await Promise.all([
      mesh.run({ name: 'server', net: true }),
      mesh.run({ name: 'client', net: true }),
      mesh.run({ name: 'nameless' }),
      mesh.run({ name: 'door' }),
    ]);
    const shell = (container: typeof server, script: string, input?: string) =>
      container.exec(['sh', '-c', script], { ...(input === undefined ? {} : { input }) });
    const serve = async (container: typeof server, ...argv: string[]) => {
      const serving = container.run(argv);
      await new Promise((resolve) => serving.stdout?.once('data', resolve));
    };
    const echo = (container: typeof server, at: string) =>
      serve(container, 'python3', '-c', PEER, 'serve-echo', at);
    await shell(
      server,
      'mkdir -p /run/s && touch /run/s/file && cat > /run/bus.conf',
      CONFIG.replace(/unix:path=[^<]*/, 'unix:path=/run/s/real-bus'),
    );
    await shell(server, 'cat >> /etc/passwd', USERS);
    await shell(server, `python3 -c 'import socket; socket.socket(1).bind("/run/s/stale")'`);
    await shell(client, 'touch /run/occupied');
    await shell(nameless, 'rm -f /etc/passwd; mkdir /etc/passwd');
    server.run(['dbus-daemon', '--config-file=/run/bus.conf', '--nofork']);
    await Promise.all([
      ...['works', 'private', 'guarded', 'occupied'].map((name) => echo(server, `/run/s/${name}`)),
      echo(server, '127.0.0.1:7002'),
      echo(client, '127.0.0.1:7100'),
      echo(nameless, '/run/s/unnamed'),
      serve(server, 'python3', '-c', MUTE),
    ]);
    await shell(server, 'chmod 600 /run/s/private');
    mesh.pids.host = process.pid;
    mesh.ends.off = ENDED;
    mesh.write(FILES);
    writeFileSync(join(plugins, 'gauge.mjs'), PLUGIN);
    chmodSync(plugins, 0o755); // the daemon is an ordinary user
    mesh.writePids();
    await mesh.daemon.launch();
    // Only who connects finds out that nobody may.
    const ask = (name: string) =>
      client.exec(['python3', '-c', PEER, 'ask', `/run/pv/services/${name}.sock`, 'x']);
    await mesh.codes({ private: 'provider-refused', unnamed: 'identity-unknown' }, () =>
      Promise.all([ask('private'), ask('unnamed')]),
    );
  }, 60_000);

  afterAll(async () => {
    await mesh.stop();
    rmSync(plugins, { recursive: true });
  });

  test.each(EXPECTED)('$title', async ({ chain, key }) => {
    const [consumer = ''] = key.split(' → ');
    await eventually(async () => expect((await told(consumer)).get(key)).toBe(chain));
  });

  test('are all in that file', async () => {
    const all = await Promise.all(['client', 'EXTERNAL', 'idle'].map(told));
    const keys = all.flatMap((chains) => [...chains.keys()]);
    expect(keys.sort()).toEqual(EXPECTED.map(({ key }) => key).sort());
  });

  test('are a line each where no link is asked for', async () => {
    const { code, out } = await mesh.command('explain');
    const lines = out.trimEnd().split('\n');
    const failed = EXPECTED.filter(({ chain }) => chain.includes('\n✗ '));
    expect(code).toBe(1);
    expect(lines.pop()).toBe(`Not well: ${failed.length} of ${EXPECTED.length} links.`);
    expect(lines).toHaveLength(failed.length);
  });

  test('are no difference to the revision that runs', async () => {
    const same = await mesh.command(
      'diff',
      'running',
      mesh.state,
      '--exit-code',
      '--plugin',
      join(plugins, 'gauge.mjs'),
    );
    expect([same.code, same.out]).toEqual([0, 'No difference.\n']);
  });

  test('are none of the machine', async () => {
    const { code, out } = await mesh.command('doctor');
    expect(out).toContain(`\n✓ daemon: it and its broker answer at ${mesh.daemon.control}, with `);
    expect(out).toContain('\n✓ graph: can be read.\n');
    expect(code).toBe(0);
  });
});
