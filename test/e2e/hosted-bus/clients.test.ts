/** Real clients of five stacks on the hosted bus: whoever they say they are, the bus sees their role. */
import dbus from 'dbus-next';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { PYTHON } from '../../support/bus/bus.js';
import { has, isRoot } from '../../support/requirements.js';
import { DENIED, DRIVER, FOO, HostedMesh, onBus, owns, TARGET } from './support.js';

const ADDRESS = `unix:path=${TARGET}`;
const TEST = 'org.example.Test';

const FILES = {
  'service/services.json': owns('foo-service', ['operator'], FOO),
  'service/run.json': onBus('foo-service'),
  'client/run.json': onBus('operator', 'visitor'),
  'other/run.json': onBus('stranger'),
};

const PYTHON_CLIENT = `
import dbus, dbus.bus, sys
bus = dbus.bus.BusConnection(sys.argv[1])
try:
    print(bus.call_blocking(sys.argv[2], "/", "${TEST}", "WhoAmI", "", []))
except dbus.DBusException as e:
    print(e.get_dbus_name())
`;

/** Each asks the service who it is, and prints the answer or the error. */
const CLIENTS: Record<string, string[]> = {
  'dbus-send': [
    'dbus-send',
    `--bus=${ADDRESS}`,
    '--print-reply=literal',
    `--dest=${FOO}`,
    '/',
    `${TEST}.WhoAmI`,
  ],
  busctl: ['busctl', `--address=${ADDRESS}`, 'call', FOO, '/', TEST, 'WhoAmI'],
  gdbus: ['gdbus', 'call', '--address', ADDRESS, '-d', FOO, '-o', '/', '-m', `${TEST}.WhoAmI`],
  python: [PYTHON, '-c', PYTHON_CLIENT, ADDRESS, FOO],
};

const ready = () => isRoot() && ['dbus-daemon', ...Object.keys(CLIENTS).slice(0, 3)].every(has);

describe.runIf(ready())('on the hosted bus', () => {
  let mesh: HostedMesh;
  let uids: Record<string, number>;
  let unique: string;

  beforeAll(async () => {
    mesh = new HostedMesh();
    await mesh.start(FILES);
    await mesh.established();
    uids = mesh.uids();
    const { line } = await mesh.serve('service', FOO);
    unique = line.split(' ')[1] as string;
  });
  afterEach(() => expect(mesh.daemon.process?.exitCode).toBeNull());
  afterAll(() => mesh.stop());

  async function output(container: string, argv: readonly string[]): Promise<string> {
    const { stdout, stderr } = await mesh.in(container).exec(argv);
    return `${stdout}${stderr}`;
  }

  test('each role has a uid of its own', () => {
    expect(uids).toEqual({
      'foo-service': 200_000,
      operator: 200_001,
      stranger: 200_002,
      visitor: 200_003,
    });
  });

  test.each(Object.keys(CLIENTS))(
    '%s is its role, and is refused where that may not call',
    async (client) => {
      const argv = CLIENTS[client] as string[];
      expect(await output('client', argv)).toContain(String(uids.operator));
      const asVisitor = argv.map((word) => word.replace(TARGET, '/run/dbus/visitor'));
      const byName = await output('client', asVisitor);
      const byUnique = await output(
        'other',
        argv.map((word) => word.replace(FOO, unique)),
      );
      for (const refused of [byName, byUnique]) {
        expect(refused).toMatch(/AccessDenied|Access denied|Rejected send message/);
        expect(refused).not.toMatch(/^\s*(u )?\(?(uint32 )?\d{6}/);
      }
    },
  );

  test('dbus-next is its role, and is refused where that may not call', async () => {
    const ask = async (target: string) => {
      const bus = dbus.sessionBus({ busAddress: `unix:path=${mesh.socket('client', target)}` });
      const call = { destination: FOO, path: '/', interface: TEST, member: 'WhoAmI' };
      try {
        return (await bus.call(new dbus.Message(call)))?.body[0];
      } catch (error) {
        return (error as { type: string }).type;
      } finally {
        bus.disconnect();
      }
    };
    expect(await ask(TARGET)).toBe(uids.operator);
    expect(await ask('/run/dbus/visitor')).toBe(DENIED);
  });

  test('a client that says that it is somebody else is its role all the same', async () => {
    const setpriv = ['setpriv', '--reuid', '200000', '--regid', '200000', '--clear-groups'];
    const argv = [...setpriv, ...(CLIENTS['dbus-send'] as string[])];
    expect(await output('client', argv)).toContain(String(uids.operator));
  });

  test('nobody owns a name that its role does not own', async () => {
    for (const container of ['client', 'other']) {
      expect((await mesh.serve(container, FOO)).line).toBe(DENIED);
      expect((await mesh.serve(container, 'org.example.Mine')).line).toBe(DENIED);
    }
  });

  test('nobody monitors or eavesdrops', async () => {
    for (const argv of [
      ['busctl', `--address=${ADDRESS}`, 'monitor'],
      ['dbus-monitor', '--address', ADDRESS],
    ]) {
      const said = await output('client', ['timeout', '3', ...argv]);
      expect(said).toMatch(/AccessDenied|Access denied|Rejected send message/);
    }
  });

  test("the bus's own socket and configuration are seen in no container", async () => {
    expect(await output('client', ['ls', mesh.busFolder])).toContain('No such file');
    expect(
      await output('client', ['sh', '-c', 'grep bus/system_bus_socket /proc/net/unix']),
    ).not.toContain(`${mesh.folder}/`);
  });

  test('the bus sees the same of each of them: a uid, no container and no broker of root', async () => {
    const { out } = await mesh.call(
      'other',
      DRIVER,
      `${DRIVER}.GetConnectionUnixUser`,
      `string:${unique}`,
    );
    expect(out).toContain(String(uids['foo-service']));
    const all = await mesh.call(
      'other',
      DRIVER,
      `${DRIVER}.GetConnectionCredentials`,
      `string:${unique}`,
    );
    expect(all.out).toMatch(/UnixUserID.*\s200000/s);
    expect(all.out).not.toMatch(/UnixUserID\s+variant\s+uint32 0\b/);
  });
});
