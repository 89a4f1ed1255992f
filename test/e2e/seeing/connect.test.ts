/**
 * `pv-xconnect explain --connect`, `--call` and `--url` with real containers, a real dbus-daemon, and the hosted bus: the
 * daemon makes one connection to each provider, and says what that did.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { CONFIG, SOCKET, USERS } from '../dbus/support.js';
import { SeenMesh } from './support.js';

const PEER = readFileSync(new URL('../unix/peer.py', import.meta.url), 'utf8');
const peer = (...args: string[]) => ['python3', '-c', PEER, ...args];
/** Listens, and takes nobody. */
const STUCK = `import signal, socket
s = socket.socket(socket.AF_UNIX); s.bind("/run/s/stuck"); s.listen(8); print("ready", flush=True)
signal.pause()`;

const unix = (name: string, more = {}) => ({
  ...{ name, type: 'unix', socket: `/run/s/${name}` },
  ...more,
});
const RULES = { '*': ['GET /status'] };
const POLICY = { operator: { talk: ['org.example.Door1'] } };
const SERVICES = [
  ...[unix('works'), unix('stuck'), unix('speaks'), unix('private')],
  unix('records', { mode: 'seqpacket' }),
  unix('log', { mode: 'dgram' }),
  { name: 'port', type: 'tcp', port: 7001 },
  { name: 'api', type: 'rest', socket: '/run/s/api', rules: RULES },
  { name: 'site', type: 'http', port: 7003 },
  { name: 'bus', type: 'dbus', socket: SOCKET, policy: POLICY },
  { name: 'keys', type: 'input', match: { name: 'No such keyboard' } },
];
const FILES = {
  'server/services.json': { '#spec': 'service-manifest-xconnect@1', services: SERVICES },
  'door/services.json': [
    { type: 'dbus', bus: 'system-bus', owns: 'org.example.Door1', role: 'door', allow: ['guest'] },
  ],
  'client/run.json': {
    services: {
      required: [
        ...['works', 'stuck', 'speaks', 'records', 'log', 'api', 'keys'],
        { name: 'private', role: '4711' },
        { name: 'port', target: '127.0.0.1:7101' },
        { name: 'site', target: '127.0.0.1:7103/x' },
        { name: 'bus', role: 'operator' },
        { name: 'bus', role: 'stranger', target: '/run/stranger.sock' },
        { name: 'system-bus', role: 'guest' },
      ],
    },
  },
};

describe.runIf(isRoot())('a connection that is made to explain a link', () => {
  const mesh = new SeenMesh('--patience', '1');

  beforeAll(async () => {
    const [server] = await Promise.all([
      mesh.run({ name: 'server', net: true }),
      mesh.run({ name: 'client', net: true }),
      mesh.run({ name: 'door' }),
    ]);
    const start = async (argv: string[]) => {
      const serving = server.run(argv);
      await new Promise((resolve) => serving.stdout?.once('data', resolve));
    };
    const serve = (...args: string[]) => start(peer(...args));
    await server.exec(['sh', '-c', 'mkdir -p /run/s /run/example && cat > /run/bus.conf'], {
      input: CONFIG,
    });
    await server.exec(['sh', '-c', 'cat >> /etc/passwd'], { input: USERS });
    server.run(['dbus-daemon', '--config-file=/run/bus.conf', '--nofork']);
    await Promise.all([
      start(['python3', '-c', STUCK]),
      ...['works', 'private', 'api'].map((name) => serve('serve-echo', `/run/s/${name}`)),
      serve('serve-flood', '/run/s/speaks', '1000'),
      serve('serve-echo', '/run/s/records', 'seqpacket'),
      serve('serve-echo', '/run/s/log', 'dgram'),
      ...[7001, 7003].map((port) => serve('serve-echo', `127.0.0.1:${port}`)),
    ]);
    await server.exec(['chmod', '600', '/run/s/private']);
    mesh.write(FILES);
    mesh.writePids();
    await mesh.daemon.launch();
    await mesh.codes({ works: null, api: null, site: null, 'system-bus': null, log: null });
  }, 60_000);

  afterAll(() => mesh.stop());

  /** The line of that step, of the consumer's first link to `service`. */
  const line = async (step: string, service: string, ...more: string[]) => {
    const { out } = await mesh.command('explain', 'client', service, ...more);
    return out.split('\n').find((one) => one.slice(2).startsWith(step)) ?? out;
  };

  test.each([
    ['works', '✓', /^connected as uid 0, and it closed in turn$/],
    ['speaks', '✓', /^connected as uid 0, and it sent something first$/],
    ['records', '✓', /^connected as uid 0, and it /],
    ['log', '✓', /^connected as uid 0; nothing was sent$/],
    ['port', '✓', /^connected, and it closed in turn$/],
    ['api', '✓', /^connected as uid 0, and it closed in turn$/],
    ['site', '✓', /^connected, and it closed in turn$/],
    ['bus', '✓', /^the bus let uid 1234 in and answered Hello, as :1\.\d+$/],
    ['system-bus', '✓', /^the bus let uid 200\d{3} in and answered Hello, as :1\.\d+$/],
    [
      'stuck',
      '·',
      /^connected as uid 0, and it neither closed in turn nor sent anything within 2 s, so it may be busy or hang$/,
    ],
  ])('to %s: %s', async (service, mark, found) => {
    const [, shown, text = ''] =
      /^(.) connect {6}(.*)$/.exec(await line('connect ', service, '--connect')) ?? [];
    expect(text).toMatch(found);
    expect(shown).toBe(mark);
  });

  test('is counted nowhere', async () => {
    await line('connect ', 'works', '--connect');
    const [link] = (await mesh.daemon.shown()).filter(({ name }) => name === 'works');
    expect(link?.connections).toEqual({ active: 0, total: 0 });
    expect(link?.bytes).toEqual({ to_provider: 0, to_consumer: 0 });
  });

  test('finds out at once that nobody is let in', async () => {
    const { code, out } = await mesh.command('explain', 'client', 'private', '--connect');
    expect(out).toContain(
      '✗ socket       /run/s/private in server: it does not let role 4711 in.\n',
    );
    expect(code).toBe(1);
  });

  test('is none to what is not there, whose first ✗ stands', async () => {
    const { out } = await mesh.command('explain', 'client', 'keys', '--connect', '--json');
    const [{ steps }] = JSON.parse(out).links;
    expect(steps.map(({ name }: { name: string }) => name)).toContain('connect');
    expect(steps.find(({ mark }: { mark: string }) => mark === 'failed')).toMatchObject({
      name: 'socket',
      found: 'No input device is there that matches {"name":"No such keyboard"} of server.',
    });
  });

  test('is refused a second time at once, and says so', async () => {
    const refused = '· connect      This link is being tried already: wait for that.';
    await eventually(async () => {
      const both = [1, 2].map(() => line('connect ', 'stuck', '--connect'));
      expect(await Promise.all(both)).toContain(refused);
    });
  });

  test('is not made for a question about a call or a request', async () => {
    expect(await line('call', 'bus', '--call', 'org.example.Door1.Open')).toBe(
      '✓ call         org.example.Door1.Open of org.example.Door1: "talk": ["org.example.Door1"] in server/services.json:/services/9/policy',
    );
    expect(await line('call', 'bus', '--call', 'org.example.Admin.Reset')).toBe(
      '✗ call         No rule for the role "operator" allows org.example.Admin.Reset of org.example.Admin: it is answered with ServiceUnknown.',
    );
    expect(await line('call', 'system-bus', '--call', 'org.example.Door1.Open')).toBe(
      '✓ call         org.example.Door1.Open of org.example.Door1 of door: "guest" is in "allow" in door/services.json:/0',
    );
    expect(await line('route', 'api', '--url', '/status')).toBe(
      '✓ route        GET /status goes to server by "GET /status"',
    );
    expect(await line('route', 'site', '--url', '/x/y')).toBe(
      '✓ route        GET /x/y, as /y, goes to server; there are no rules',
    );
    const { code, err } = await mesh.command('explain', '--call', 'org.example.Door1.Open');
    expect([code, err]).toEqual([
      2,
      'pv-xconnect: --connect, --call and --url are about the links of one container: say which CONSUMER.\n',
    ]);
  });
});
