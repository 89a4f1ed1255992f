/** A bus that the runtime hosts: honoured as its graph has it, within what the daemon was started with. */
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestBus } from '../../support/bus/bus.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { type WireLink, wireLink } from '../../support/link.js';
import { has, isRoot } from '../../support/requirements.js';
import { DropIn } from '../../support/stand-ins/runtime.js';
import { services } from '../../unit/manifest/scratch.js';
import { DRIVER, owns, TARGET } from './support.js';

/** Of dbus-send: the socket is there, and the bus behind it is not. */
const UNREACHED = /Failed to (open|register on) connection/;

describe.runIf(isRoot() && has('dbus-daemon') && has('dbus-send'))("the runtime's own bus", () => {
  let bus: TestBus;
  let client: TestContainer;
  let daemon: DropIn;

  beforeAll(async () => {
    bus = new TestBus({ first: 90_000, last: 90_099 });
    await bus.start();
    await bus.hosts({ 'a/services.json': services(...owns('role', undefined, 'a.b').services) });
    client = await startContainer({ name: 'client' });
    daemon = new DropIn(['--bus', bus.places.socket, '--patience', '1']);
    await daemon.launch();
  });
  afterAll(async () => {
    await daemon?.stop();
    await client?.kill();
    await bus?.remove();
  });

  function link(fields: Partial<WireLink> = {}): WireLink {
    return wireLink({
      ...{ consumer: 'client', consumer_pid: client.pid, provider: '_pv_', provider_pid: 0 },
      ...{ name: 'system-bus', type: 'dbus', interface: 'dbus', role: 'operator', uid: 90_000 },
      ...{ target: TARGET, socket: bus.places.socket },
      ...fields,
    });
  }

  async function whoAmI(target = TARGET): Promise<string> {
    const address = `--bus=unix:path=${target}`;
    const argv = ['dbus-send', address, '--print-reply=literal', `--dest=${DRIVER}`, '/'];
    const asked = await client.exec([...argv, `${DRIVER}.GetConnectionUnixUser`, 'string::1.0']);
    return `${asked.stdout}${asked.stderr}`;
  }

  test('sees each link as the uid that the graph has for it', async () => {
    daemon.set(link());
    await daemon.until({ 'system-bus': 'established' });
    expect(await whoAmI()).toMatch(/uint32 90000|no such name/);
  });

  test.each([
    ['a socket that the daemon was not given', { socket: '/run/dbus/other' }, 'bus-unlisted'],
    ['no uid', { uid: undefined }, 'bus-uid'],
    ['the uid of root', { uid: 0 }, 'bus-uid'],
    ['the uid of another user of the host', { uid: 1000 }, 'bus-uid'],
  ])('is not reached with %s', async (name, fields, code) => {
    daemon.set(link({ name, ...fields }));
    const [shown] = await daemon.until({ [name]: 'failed' });
    expect(shown?.last_error?.code).toBe(code);
    expect(await whoAmI()).toMatch(UNREACHED);
  });

  test('lets in as nobody who requires it without a role', async () => {
    const users = join(bus.places.folder, 'passwd');
    appendFileSync(users, 'nobody:x:65534:65534::/:/bin/false\n');
    daemon.set(link({ role: 'any', uid: 65_534 }));
    await daemon.until({ 'system-bus': 'established' });
    expect(await whoAmI()).toMatch(/uint32 65534|no such name/);
  });

  test.each([
    ['dbus', {}],
    ['dbus, with a policy', { policy: { see: ['*'] } }],
  ])(
    'is not established for a role that it does not know, and is once it does: %s',
    async (name, fields) => {
      const uid = 90_050 + name.length;
      daemon.set(link({ name, role: 'stranger', uid, ...fields }));
      const [shown] = await daemon.until({ [name]: 'failed' });
      expect(shown?.last_error).toMatchObject({
        code: 'bus-refused',
        message: `The bus at ${bus.places.socket} lets nobody in as uid ${uid}, which is the role "stranger".`,
      });
      expect(await whoAmI()).toMatch(UNREACHED);
      await bus.keeper?.addUsers([uid]);
      await daemon.until({ [name]: 'established' });
      expect(await whoAmI()).not.toMatch(UNREACHED);
    },
  );

  test('is waited for while it is away', async () => {
    daemon.set(link());
    await daemon.until({ 'system-bus': 'established' });
    await bus.stop();
    expect(await whoAmI()).toMatch(UNREACHED);
    const [shown] = await daemon.until({ 'system-bus': 'waiting' });
    expect(shown?.last_error?.code).toBe('bus-away');
    await bus.start();
    await daemon.until({ 'system-bus': 'established' });
    expect(await whoAmI()).not.toMatch(UNREACHED);
  });

  test('with another uid in the graph, puts out who is connected as the old one', async () => {
    daemon.set(link());
    await daemon.until({ 'system-bus': 'established' });
    const monitor = client.run(['dbus-monitor', '--address', `unix:path=${TARGET}`, 'type=signal']);
    const ended = once(monitor, 'exit');
    await daemon.untilActive(1);
    daemon.set(link({ uid: 90_001 }));
    await ended;
  });
});
