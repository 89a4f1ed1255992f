/** What a real dbus-daemon makes of the generated configuration: above all, what it refuses. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { PYTHON, TestBus } from '../../support/bus/bus.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { requires, services } from '../../unit/manifest/scratch.js';

const FOO = 'org.example.Foo';
const OPEN = 'org.example.Open';
const NARROW = 'org.example.Narrow';
const DRIVER = 'org.freedesktop.DBus';
const DENIED = 'org.freedesktop.DBus.Error.AccessDenied';

const FILES = {
  'a/services.json': services({ type: 'dbus', owns: FOO, role: 'owner', allow: ['friend'] }),
  'b/services.json': services({ type: 'dbus', owns: OPEN, role: 'open' }),
  'c/run.json': requires({ name: 'system-bus', role: 'stranger' }),
  'd/services.json': services({
    ...{ type: 'dbus', owns: NARROW, role: 'open' },
    allow: [
      { role: 'stranger', interfaces: ['org.example.Test'], members: ['Echo'] },
      { role: 'friend', interfaces: ['org.example.Else'] },
    ],
  }),
};

/** Calls somebody else, and then answers its own call to who was not asked. */
const FORGE = `
import sys, dbus, dbus.bus, dbus.lowlevel
bus = dbus.bus.BusConnection(sys.argv[1])
call = dbus.lowlevel.MethodCallMessage("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId")
bus.send_message(call)
answer = eval("dbus.lowlevel." + sys.argv[3])
answer.set_destination(sys.argv[2])
bus.send_message(answer)
bus.flush()
bus.get_name_owner("org.freedesktop.DBus")
print("sent")
`;

describe.runIf(isRoot() && has('dbus-daemon') && has('dbus-send'))('the hosted bus', () => {
  let bus: TestBus;
  let uids: ReadonlyMap<string, number>;
  const uid = (role: string) => uids.get(role) as number;

  beforeAll(async () => {
    bus = new TestBus();
    await bus.start();
    uids = (await bus.hosts(FILES)).uids ?? new Map();
  });
  afterEach(() => bus.reset());
  afterAll(() => bus.remove());

  test('knows each role by a uid of its own', async () => {
    expect([...uids]).toEqual([
      ['friend', 200_000],
      ['open', 200_001],
      ['owner', 200_002],
      ['stranger', 200_003],
    ]);
    const { out } = await bus.call(
      uid('friend'),
      DRIVER,
      `${DRIVER}.GetConnectionUnixUser`,
      `string:${DRIVER}`,
    );
    expect(out).toContain('199999'); // the bus's own user, not root and not nobody
  });

  test('lets the owner own its name, and no other role or name', async () => {
    expect((await bus.serve(uid('owner'), FOO)).line).toMatch(/^ready :/);
    for (const [role, name] of [
      ['friend', FOO],
      ['stranger', FOO],
      ['owner', OPEN],
      ['owner', 'org.example.Foo.Sub'],
      ['stranger', 'org.example.Else'],
    ] as const) {
      expect((await bus.serve(uid(role), name)).line).toBe(DENIED);
    }
  });

  test('lets those who are allowed call it, and nobody else, by any of its names', async () => {
    const { line } = await bus.serve(uid('owner'), FOO);
    const unique = line.split(' ')[1] as string;
    for (const destination of [FOO, unique]) {
      const friend = await bus.call(
        uid('friend'),
        destination,
        'org.example.Test.Echo',
        'string:hi',
      );
      expect(friend).toMatchObject({ code: 0, out: expect.stringContaining('hi') });
      for (const role of ['stranger', 'open']) {
        const other = await bus.call(uid(role), destination, 'org.example.Test.Echo', 'string:hi');
        expect(other).toMatchObject({ code: 1, out: expect.stringContaining(DENIED) });
      }
    }
  });

  test('lets the owner see who calls', async () => {
    await bus.serve(uid('owner'), FOO);
    const { out } = await bus.call(uid('friend'), FOO, 'org.example.Test.WhoAmI');
    expect(out).toContain(String(uid('friend')));
  });

  test('lets everyone call a name without "allow"', async () => {
    await bus.serve(uid('open'), OPEN);
    for (const role of ['stranger', 'friend', 'owner']) {
      expect((await bus.call(uid(role), OPEN, 'org.example.Test.Echo', 'string:hi')).code).toBe(0);
    }
  });

  test('lets who is narrowed make those calls alone', async () => {
    await bus.serve(uid('open'), NARROW);
    const call = (role: string, member: string) =>
      bus.call(uid(role), NARROW, `org.example.Test.${member}`, 'string:hi');
    expect((await call('stranger', 'Echo')).code).toBe(0);
    expect((await call('stranger', 'Change')).out).toContain(DENIED);
    expect((await call('friend', 'Echo')).out).toContain(DENIED);
    expect((await call('owner', 'Echo')).out).toContain(DENIED);
  });

  test('lets nobody call who owns nothing', async () => {
    const { line } = await bus.serve(uid('friend'));
    const unique = line.split(' ')[1] as string;
    for (const role of ['stranger', 'owner']) {
      const { out } = await bus.call(uid(role), unique, 'org.example.Test.Echo', 'string:hi');
      expect(out).toContain(DENIED);
    }
  });

  test('lets signals pass to whoever asked for them', async () => {
    const { child } = await bus.serve(uid('stranger'));
    await bus.serve(uid('owner'), FOO);
    const lines = createInterface(child.stdout as NodeJS.ReadableStream);
    const changed = once(lines, 'line');
    await bus.call(uid('friend'), FOO, 'org.example.Test.Change', 'string:now');
    expect(await changed).toEqual(['changed now']);
  });

  test.each([
    ['method_return', 'MethodReturnMessage(call)'],
    ['error', "ErrorMessage(call, 'a.b.C', '')"],
  ])('lets nobody answer what it was not asked, with %s', async (type, answer) => {
    const { line } = await bus.serve(uid('owner'), FOO);
    const unique = line.split(' ')[1] as string;
    const { out } = await bus.as(uid('friend'), [PYTHON, '-c', FORGE, bus.address, unique, answer]);
    expect(out).toBe('sent\n');
    await eventually(() => {
      expect(bus.log.join('\n')).toMatch(`matched rules; type="${type}"`);
    });
  });

  test.each([
    ['become a monitor', `${DRIVER}.Monitoring.BecomeMonitor`, ['array:string:', 'uint32:0']],
    ['eavesdrop', `${DRIVER}.AddMatch`, ["string:type='method_call',eavesdrop='true'"]],
    ['have it reload', `${DRIVER}.ReloadConfig`, []],
    [
      'change what it starts services with',
      `${DRIVER}.UpdateActivationEnvironment`,
      ['dict:string:string:'],
    ],
    ['see what others have asked for', `${DRIVER}.Debug.Stats.GetAllMatchRules`, []],
  ])('lets nobody %s', async (_, method, args) => {
    for (const role of ['owner', 'stranger']) {
      const { code, out } = await bus.call(uid(role), DRIVER, method, ...args);
      expect({ code, denied: /AccessDenied|UnknownMethod/.test(out) }).toEqual({
        code: 1,
        denied: true,
      });
    }
  });

  test('answers what anybody may ask the bus driver', async () => {
    for (const method of ['ListNames', 'ListActivatableNames', 'GetId', 'Peer.Ping']) {
      expect((await bus.call(uid('stranger'), DRIVER, `${DRIVER}.${method}`)).code).toBe(0);
    }
  });

  test('lets others in while one has many connections on which it says nothing', async () => {
    const silent = `
import signal, socket, sys
held = []
for _ in range(400):
    one = socket.socket(socket.AF_UNIX)
    one.connect(sys.argv[1])
    one.sendall(b"\\0AUTH EXTERNAL\\r\\nDATA\\r\\nBEGIN\\r\\n")
    held.append(one)
sys.stdin.readline()
print("holds", len(held), flush=True)
signal.pause()
`;
    const socket = bus.address.replace('unix:path=', '');
    const holder = bus.talk(uid('stranger'), [PYTHON, '-c', silent, socket]);
    expect(await holder.ask()).toBe('holds 400');
    expect((await bus.call(uid('friend'), DRIVER, `${DRIVER}.GetId`)).code).toBe(0);
  }, 15_000);

  test('lets nobody in who has no role', async () => {
    const { code, out } = await bus.call(200_500, DRIVER, `${DRIVER}.ListNames`);
    expect(code, out).toBe(1);
  });
});
