/**
 * Faults that were made on purpose, as `pv-xconnect explain` tells them: the first step that failed names the cause,
 * and what is to be done about it.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { SeenMesh } from './support.js';

const PEER = readFileSync(new URL('../unix/peer.py', import.meta.url), 'utf8');

const unix = (name: string, more = {}) => ({
  name,
  type: 'unix',
  socket: `/run/s/${name}`,
  ...more,
});
const SERVICES = [
  unix('works'),
  unix('absent'),
  unix('file'),
  unix('stale'),
  unix('private'),
  unix('guarded', { allow: ['operators'] }),
  unix('occupied'),
  unix('blocked'),
  unix('long'),
  unix('twice'),
  unix('relative', { socket: 'run/relative' }),
  { name: 'port', type: 'tcp', port: 7001 },
  { name: 'elsewhere', type: 'tcp', port: 7002 },
  { name: 'card', type: 'drm', socket: '/dev/dri/card9' },
  { name: 'keys', type: 'input', match: { name: 'No such keyboard' } },
  { name: 'bus', type: 'dbus', socket: '/run/s/bus' },
  { name: 'screen', type: 'wayland', socket: '/run/s/wayland-0' },
  { name: 'api', type: 'rest', socket: '/run/s/api' },
  { name: 'site', type: 'http', port: 7003 },
];
const FILES = {
  'server/services.json': { '#spec': 'service-manifest-xconnect@1', services: SERVICES },
  'off/services.json': [unix('stopped')],
  'host/services.json': [unix('foreign')],
  'nameless/services.json': [unix('unnamed')],
  'idle/run.json': { services: { required: ['works'] } },
  'client/run.json': {
    services: {
      required: [
        ...['works', 'absent', 'file', 'stale', 'wroks', 'stopped', 'foreign', 'relative'],
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
        ...['card', 'keys', 'bus', 'screen'],
        { name: 'works', type: 'drm', target: '/dev/works' },
        'api',
        { name: 'site', target: '127.0.0.1:7103/x', health: { path: '/health', interval: 0.1 } },
        { name: 'site', target: '127.0.0.1:7101' },
      ],
    },
  },
  'device.json': { ingress: [{ type: 'tcp', external: '203.0.113.1:7203', service: 'port' }] },
};

const DECLARED = (index: number) =>
  `It is declared in client/run.json:/services/required/${index}.`;
const EXPORTED = (index: number) => `It is declared in server/services.json:/services/${index}.`;
const LISTEN = 'Have the provider create its socket, or listen, where its manifest says.';
const PLUG =
  'Plug the device in, or have the provider make its node at the path that its manifest names.';

const REACH = "Check that the provider listens on its socket and lets the role's uid connect.";
const WAY = 'Check the folders on the way to the target, or the addresses, inside the consumer.';
const accepts = (socket: string, role = 'any') =>
  `${socket} in server, which lets the role "${role}" in`;
const REQUIRED = 'client/run.json:/services/required';

interface Fault {
  readonly step: string;
  readonly found: string;
  readonly expected: string;
  readonly todo: string;
}

/** By the service that is required. */
const FAULTS: Readonly<Record<string, Fault>> = {
  absent: {
    step: 'socket',
    found: '/run/s/absent in server: it does not exist yet.',
    expected: accepts('/run/s/absent'),
    todo: `${LISTEN} ${EXPORTED(1)}`,
  },
  file: {
    step: 'socket',
    found: '/run/s/file in server: it is no socket.',
    expected: accepts('/run/s/file'),
    todo: `Correct "socket" in the provider's services.json: it must be a unix socket. ${EXPORTED(2)}`,
  },
  stale: {
    step: 'socket',
    found: '/run/s/stale in server: nobody accepts connections on it.',
    expected: accepts('/run/s/stale'),
    todo: `${REACH} ${EXPORTED(3)}`,
  },
  private: {
    step: 'socket',
    found: '/run/s/private in server: it does not let role 4711 in.',
    expected: accepts('/run/s/private', '4711'),
    todo: `${REACH} ${EXPORTED(4)}`,
  },
  guarded: {
    step: 'allowed',
    found: `${REQUIRED}/9: found client with the role "operator".`,
    expected: 'one that "allow" of guarded in server names (did you mean "operators"?)',
    todo: 'Add "operator" or "container:client" to "allow" in server/services.json:/services/5.',
  },
  wroks: {
    step: 'exported by',
    found: `${REQUIRED}/4: found no container that exports "wroks".`,
    expected: 'one (did you mean "works" of server?)',
    todo: 'Add a container that exports the service, or make the requirement optional.',
  },
  works: {
    step: 'exported by',
    found: `${REQUIRED}/22/type: found type drm wanted of works of server, which is unix.`,
    expected: 'one of unix, tcp, rest, http',
    todo: 'Ask for a type that the provider can serve.',
  },
  stopped: {
    step: 'running',
    found: 'off is not running. How it ended, if it ran before, the daemon was not told.',
    expected: 'client and off running',
    todo: 'Start the provider; connections wait for it.',
  },
  foreign: {
    step: 'running',
    found: `Container host: pid ${process.pid} lives in the host's own mount namespace, a container of its own was expected.`,
    expected: 'client and host running',
    todo: 'Have the runtime report the pid of the container, not of a process on the host.',
  },
  relative: {
    step: 'declared',
    found: 'server/services.json:/services/10/socket: found "run/relative".',
    expected: 'an absolute path without ".."',
    todo: 'Give an absolute path without "..".',
  },
  long: {
    step: 'declared',
    found: `${REQUIRED}/12: found a target of 121 bytes.`,
    expected: 'at most 107, which is what a program can connect to',
    todo: 'Choose a shorter path.',
  },
  twice: {
    step: 'declared',
    found: `${REQUIRED}/14: found the target "/run/pv/services/twice.sock", taken by ${REQUIRED}/13.`,
    expected: 'one that is free',
    todo: 'Give each requirement of the container its own target.',
  },
  occupied: {
    step: 'target',
    found:
      'No socket at /run/occupied in client: something that is no socket is there, and was left untouched.',
    expected: '/run/occupied in client free, and a way to it',
    todo: `Remove what is at the target, or choose another target; it was left untouched. ${DECLARED(10)}`,
  },
  blocked: {
    step: 'target',
    found:
      'No socket at /run/occupied/below in client: the way to it inside the container is broken (ENOTDIR).',
    expected: '/run/occupied/below in client free, and a way to it',
    todo: `${WAY} ${DECLARED(11)}`,
  },
  unnamed: {
    step: 'identity',
    found: "/etc/passwd of nameless can't be read (EINVAL), so role somebody has no uid.",
    expected: 'a user for the role "somebody"',
    todo: 'Give the provider an /etc/passwd of its own, a readable regular file under 64 KiB. It is declared in nameless/services.json:/0.',
  },
  port: {
    step: 'socket',
    found: '127.0.0.1:7001 in server: nobody listens there yet.',
    expected: accepts('127.0.0.1:7001'),
    todo: `${LISTEN} ${EXPORTED(11)}`,
  },
  elsewhere: {
    step: 'target',
    found: 'No listener at 203.0.113.9:7102 in client: no interface there has that address.',
    expected: '203.0.113.9:7102 free, at an interface of client',
    todo: `${WAY} ${DECLARED(17)}`,
  },
  card: {
    step: 'socket',
    found: '/dev/dri/card9 in server: it is not there, a drm device was expected.',
    expected: accepts('/dev/dri/card9'),
    todo: `${PLUG} ${EXPORTED(13)}`,
  },
  keys: {
    step: 'socket',
    found: 'No input device is there that matches {"name":"No such keyboard"} of server.',
    expected: accepts('/dev/input/keys'),
    todo: `${PLUG} ${EXPORTED(14)}`,
  },
  bus: {
    step: 'socket',
    found: '/run/s/bus in server: it does not exist yet.',
    expected: accepts('/run/s/bus'),
    todo: `${LISTEN} ${EXPORTED(15)}`,
  },
  screen: {
    step: 'socket',
    found: '/run/s/wayland-0 in server: it does not exist yet.',
    expected: accepts('/run/s/wayland-0'),
    todo: `${LISTEN} ${EXPORTED(16)}`,
  },
  api: {
    step: 'socket',
    found: '/run/s/api in server: it does not exist yet.',
    expected: accepts('/run/s/api'),
    todo: `${LISTEN} ${EXPORTED(17)}`,
  },
  site: {
    step: 'socket',
    found: '127.0.0.1:7003 in server: nobody listens there yet.',
    expected: accepts('127.0.0.1:7003'),
    todo: `${LISTEN} ${EXPORTED(18)}`,
  },
};

describe.runIf(isRoot())('faults of links', () => {
  const mesh = new SeenMesh('--patience', '1');

  beforeAll(async () => {
    const [server, client, nameless] = await Promise.all([
      mesh.run({ name: 'server', net: true }),
      mesh.run({ name: 'client', net: true }),
      mesh.run({ name: 'nameless' }),
    ]);
    const shell = (container: typeof server, script: string) =>
      container.exec(['sh', '-c', script]);
    await shell(server, 'mkdir -p /run/s && touch /run/s/file');
    for (const name of ['works', 'private', 'guarded', 'occupied']) {
      const serving = server.run(['python3', '-c', PEER, 'serve-echo', `/run/s/${name}`]);
      await new Promise((resolve) => serving.stdout?.once('data', resolve));
    }
    const unnamed = nameless.run(['python3', '-c', PEER, 'serve-echo', '/run/s/unnamed']);
    await new Promise((resolve) => unnamed.stdout?.once('data', resolve));
    await shell(server, 'chmod 600 /run/s/private');
    await shell(server, `python3 -c 'import socket; socket.socket(1).bind("/run/s/stale")'`);
    await shell(client, 'touch /run/occupied');
    await shell(nameless, 'rm -f /etc/passwd; mkdir /etc/passwd');
    mesh.pids.host = process.pid;
    mesh.write(FILES);
    mesh.writePids();
    await mesh.daemon.launch();
    // Only who tries to connect finds out that nobody may.
    const ask = (name: string) => () =>
      client.exec(['python3', '-c', PEER, 'ask', `/run/pv/services/${name}.sock`, 'x']);
    await mesh.codes({ private: 'provider-refused' }, ask('private'));
    await mesh.codes({ unnamed: 'identity-unknown' }, ask('unnamed'));
    await mesh.codes({ works: null, absent: 'provider-socket-missing', keys: 'device-missing' });
  }, 60_000);

  afterAll(() => mesh.stop());

  const failed = ({ step, found, expected, todo }: Fault) =>
    [
      `✗ ${step.padEnd(13)}${found}`,
      `${' '.repeat(15)}Expected: ${expected}.`,
      `${' '.repeat(15)}To do: ${todo}`,
    ].join('\n');

  test.each(Object.entries(FAULTS))(
    '%s: the cause is named, and what helps',
    async (name, fault) => {
      await eventually(async () => {
        const { code, out } = await mesh.command('explain', 'client', name);
        // A service that is required twice has two chains.
        expect(out).toContain(`\n${failed(fault)}\n`);
        expect(code).toBe(1);
      });
    },
  );

  test('of a consumer that does not run, and of ingress, are told too', async () => {
    expect((await mesh.command('explain', 'idle')).out).toContain(
      failed({
        step: 'running',
        found: 'idle is not running. How it ended, if it ran before, the daemon was not told.',
        expected: 'idle and server running',
        todo: 'Start the consumer; the link is made as soon as it runs.',
      }),
    );
    expect((await mesh.command('explain', 'EXTERNAL', 'port')).out).toContain(
      failed({
        step: 'target',
        found: 'No listener at 203.0.113.1:7203 in the host: no interface there has that address.',
        expected: '203.0.113.1:7203 free, at an interface of the host',
        todo: `${WAY} It is declared in device.json:/ingress/0.`,
      }),
    );
  });

  test('are a line each where no link is asked for', async () => {
    const { code, out } = await mesh.command('explain');
    const lines = out.trimEnd().split('\n');
    expect(code).toBe(1);
    expect(lines.pop()).toBe('Not well: 27 of 28 links.');
    expect(lines).toHaveLength(27);
    for (const { found, expected, todo } of Object.values(FAULTS)) {
      const line = lines.filter((one) => one.endsWith(`: ${found} Expected: ${expected}. ${todo}`));
      expect(line).toHaveLength(1);
    }
  });

  test('leave a link that works well at every step', async () => {
    const ask = ['python3', '-c', PEER, 'ask', '/run/pv/services/works.sock', 'x'];
    await mesh.containers.get('client')?.exec(ask);
    await eventually(async () => {
      const { links } = JSON.parse((await mesh.command('explain', 'client', '--json')).out);
      const [{ state, steps }] = links;
      expect(state).toBe('established');
      expect(steps.map(({ mark }: { mark: string }) => mark)).toEqual(new Array(8).fill('ok'));
      expect(steps[7].found).toMatch(/^0 open of \d+, \d+ bytes to the provider, .*ended: eof \d+/);
    });
  });

  test('are no difference to the revision that runs', async () => {
    const same = await mesh.command('diff', 'running', mesh.state, '--exit-code');
    expect([same.code, same.out]).toEqual([0, 'No difference.\n']);
  });

  test('are none of the machine', async () => {
    const { code, out } = await mesh.command('doctor');
    expect(out).toContain(`\n✓ daemon: it and its broker answer at ${mesh.daemon.control}, with `);
    expect(out).toContain('\n✓ graph: can be read.\n');
    expect(code).toBe(0);
  });
});
