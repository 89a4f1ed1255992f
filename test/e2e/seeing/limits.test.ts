/** Connections that are too many, break their protocol or fall silent: each says so where people look. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { request } from '../../support/daemon.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { CONFIG, SOCKET, USERS } from '../dbus/support.js';
import { SeenMesh } from './support.js';

const PEER = readFileSync(new URL('../unix/peer.py', import.meta.url), 'utf8');
/** Begins an answer, and says no more. */
const SILENT = `import socket
s = socket.socket(socket.AF_UNIX); s.bind("/run/api"); s.listen(8); print("ready", flush=True)
kept = []
while True:
    c, _ = s.accept(); kept.append(c); c.recv(4096)
    c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\n\\r\\ndata: 1\\n\\n")`;
/** Logs in, and then sends what is no message. */
const BABBLE = `import socket
s = socket.socket(socket.AF_UNIX); s.connect("/run/pv/services/bus.sock")
s.sendall(b"\\0AUTH EXTERNAL 30\\r\\n"); s.recv(4096)
s.sendall(b"BEGIN\\r\\n" + b"x" * 64); s.recv(4096)`;
const ASK = `import socket
s = socket.socket(socket.AF_UNIX); s.connect("/run/pv/services/api.sock")
s.sendall(b"GET /events HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
while s.recv(4096): pass`;

const FILES = {
  'server/services.json': [
    { name: 'port', type: 'tcp', port: 7001 },
    { name: 'api', type: 'rest', socket: '/run/api' },
    { name: 'bus', type: 'dbus', socket: SOCKET, policy: { '*': { see: ['org.example.Foo'] } } },
  ],
  'client/run.json': {
    services: {
      required: [
        { name: 'port', target: '127.0.0.1:7101', max_connections: 2 },
        { name: 'api', limits: { silence_timeout: 0.5 } },
        'bus',
      ],
    },
  },
};

describe.runIf(isRoot() && has('dbus-daemon'))('connections that', () => {
  const mesh = new SeenMesh();
  let client: Awaited<ReturnType<SeenMesh['run']>>;

  beforeAll(async () => {
    const [server, one] = await Promise.all([
      mesh.run({ name: 'server', net: true }),
      mesh.run({ name: 'client', net: true }),
    ]);
    client = one;
    const serve = async (...argv: string[]) => {
      const serving = server.run(['python3', '-c', ...argv]);
      await new Promise((resolve) => serving.stdout?.once('data', resolve));
    };
    await server.exec(['sh', '-c', 'mkdir -p /run/example; cat > /run/bus.conf'], {
      input: CONFIG,
    });
    await server.exec(['sh', '-c', 'cat >> /etc/passwd'], { input: USERS });
    server.run(['dbus-daemon', '--config-file=/run/bus.conf', '--nofork']);
    await Promise.all([serve(PEER, 'serve-echo', '127.0.0.1:7001'), serve(SILENT)]);
    mesh.write(FILES);
    mesh.writePids();
    await mesh.daemon.launch();
    await mesh.codes({ port: null, api: null, bus: null });
  }, 60_000);
  afterAll(() => mesh.stop());

  test('are as many as may be are told with what raises that', async () => {
    const holding = client.run(['python3', '-c', PEER, 'hold', '127.0.0.1:7101', '2']);
    await eventually(async () => {
      const { code, out } = await mesh.command('explain', 'client', 'port');
      expect(out.split('\n').slice(-4)).toEqual([
        '✗ connections  2 connections are open, as many as may be: further ones wait, or are closed.',
        '               Expected: fewer than 2.',
        '               To do: Raise "max_connections" in client/run.json:/services/required/0, or have clients close what they no longer use.',
        '',
      ]);
      expect(code).toBe(1);
    });
    expect((await mesh.command('graph')).out).toMatch(/ 2\/2 full +-/);
    expect(await request(mesh.daemon.control, '/health')).toMatchObject({ full: 1 });
    holding.stdin?.end();
    await eventually(async () => {
      expect(await request(mesh.daemon.control, '/health')).toMatchObject({ full: 0 });
    });
  });

  test('break their protocol, or fall silent, are told where people look', async () => {
    const argv = ['connections', '--follow', '--json', '--control', mesh.daemon.control];
    const following = spawn(`${PACKAGE_ROOT}/bin/pv-xconnect`, argv);
    let text = '';
    following.stdout.on('data', (data) => {
      text += data;
    });
    const ends = () =>
      text
        .split('\n')
        .filter((line) => line.includes('"reason"'))
        .map((line) => JSON.parse(line))
        .map(({ name, reason }) => `${name} ${reason}`);
    // A stream that is followed says nothing before something ends.
    await eventually(async () => {
      await client.exec(['python3', '-c', BABBLE]);
      expect(ends()).toContain('bus malformed');
    });
    await client.exec(['python3', '-c', ASK]);
    await eventually(() => expect(ends()).toContain('api silence-timeout'));
    following.kill('SIGINT');
    expect((await mesh.command('explain', 'client', 'bus')).out).toMatch(/; ended: malformed \d+/);
    expect((await mesh.command('explain', 'client', 'api')).out).toMatch(
      /; ended: silence-timeout 1/,
    );
    expect(mesh.daemon.log).toMatch(/A connection was ended. The consumer broke the protocol: /);
    expect(mesh.daemon.log).toContain(
      'an answer of server was cut, as nothing more of it came for 0.5 s: \\"silence_timeout\\" of api',
    );
  });
});
