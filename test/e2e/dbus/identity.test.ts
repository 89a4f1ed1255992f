/** Who the bus says that a consumer is, whichever program the consumer is, over a real bus in a real container. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { askBus, type BusPair, nameOf, startBusPair, TARGET, WHO } from './support.js';

const FILES = readFileSync(new URL('./files.py', import.meta.url), 'utf8');
const ADDRESS = `unix:path=${TARGET}`;
const PYTHON = `import dbus
bus = dbus.bus.BusConnection('${ADDRESS}')
print(int(bus.get_object('${WHO}', '/').Who(dbus_interface='${WHO}')))`;

/** Each asks the service who it is, and prints the uid somewhere in its answer. */
const CLIENTS: readonly (readonly [string, readonly string[]])[] = [
  [
    'dbus-send',
    ['dbus-send', `--bus=${ADDRESS}`, '--print-reply', `--dest=${WHO}`, '/', `${WHO}.Who`],
  ],
  ['busctl', ['busctl', `--address=${ADDRESS}`, 'call', WHO, '/', WHO, 'Who']],
  [
    'gdbus',
    [
      'gdbus',
      'call',
      '--address',
      ADDRESS,
      '--dest',
      WHO,
      '--object-path',
      '/',
      '--method',
      `${WHO}.Who`,
    ],
  ],
  ['/usr/bin/python3', ['/usr/bin/python3', '-c', PYTHON]],
];

const ROLES: readonly (readonly [string, number])[] = [
  ['any', 65534],
  ['4711', 4711],
  ['daemon', 1],
  ['unknown-role', 65534],
];

describe.runIf(isRoot() && has('dbus-daemon'))('the bus in the provider', () => {
  let pair: BusPair;
  beforeAll(async () => {
    pair = await startBusPair('--patience', '2');
  });
  afterEach(() => pair.reset());
  afterAll(() => pair?.stop());

  describe.each(ROLES)('sees the role %s as its uid', (role, uid) => {
    test.each(CLIENTS)('of %s', async (program, argv) => {
      if (!has(program.replace(/.*\//, ''))) return;
      await pair.establish({ role });
      await pair.serveWho();
      expect(await pair.run(...argv)).toMatch(new RegExp(`\\b${uid}\\b`));
    });

    test('of dbus-next', async () => {
      await pair.establish({ role });
      const bus = await pair.through();
      const name = nameOf(bus);
      expect(await askBus(bus, 'GetConnectionUnixUser', name)).toBe(uid);
    });
  });

  test('sees a gid of the same line, and no other groups', async () => {
    await pair.establish({ role: 'operator' });
    const bus = await pair.through();
    const name = nameOf(bus);
    const credentials = (await askBus(bus, 'GetConnectionCredentials', name)) as Record<
      string,
      { value: unknown }
    >;
    expect(credentials.UnixUserID?.value).toBe(1234);
    expect(credentials.UnixGroupIDs?.value).toEqual([4321]);
  });

  test('sees another uid with the next connection after passwd changed', async () => {
    const set = (uid: number) =>
      pair.provider.exec([
        'sh',
        '-c',
        `sed -i '/^changing/d' /etc/passwd; echo "changing::${uid}:7:::" >> /etc/passwd`,
      ]);
    await set(2001);
    await pair.establish({ role: 'changing' });
    await pair.serveWho();
    const [, busctl] = CLIENTS[1] as (typeof CLIENTS)[number];
    expect(await pair.run(...busctl)).toContain('2001');
    await set(2002);
    expect(await pair.run(...busctl)).toContain('2002');
  });

  test('takes descriptors from the consumer and hands its own over', async () => {
    await pair.establish({ role: '4711' });
    const bus = 'unix:path=/run/example/bus.sock';
    const service = pair.provider.run(['/usr/bin/python3', '-c', FILES, 'serve', bus]);
    try {
      await new Promise((resolve) => service.stdout?.once('data', resolve));
      expect(await pair.run('/usr/bin/python3', '-c', FILES, 'client', ADDRESS)).toBe('ok');
    } finally {
      service.kill('SIGKILL');
    }
  });

  test('is told of a consumer that ends, and the other way round', async () => {
    await pair.establish({ role: '4711' });
    const direct = await pair.direct();
    const bus = await pair.through();
    const name = nameOf(bus);
    const owned = () => askBus(direct, 'NameHasOwner', name);
    expect(await owned()).toBe(true);
    bus.disconnect();
    await eventually(async () => expect(await owned()).toBe(false));

    const other = await pair.through();
    const ended = new Promise((resolve) => {
      (other as unknown as { _connection: NodeJS.EventEmitter })._connection.once('end', resolve);
    });
    pair.killBus();
    await ended;
    await pair.startBus();
  });
});
