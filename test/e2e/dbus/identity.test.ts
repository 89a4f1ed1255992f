/** Who the bus says that a consumer is, whichever program the consumer is, over a real bus in a real container. */
import { describe, expect, test } from 'vitest';
import { commandOf } from '../../support/command.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { COMMANDS } from './commands.js';
import { askBus, nameOf, overOf, passFiles, useBusPair, WHO } from './support.js';

const ROLES: readonly (readonly [string, number])[] = [
  ['any', 65534],
  ['4711', 4711],
  ['daemon', 1],
  ['unknown-role', 65534],
];

describe.runIf(isRoot() && has('dbus-daemon'))('the bus in the provider', () => {
  const pair = useBusPair('--patience', '2');

  describe.each(ROLES)('sees the role %s as its uid', (role, uid) => {
    test.each(Object.entries(COMMANDS))('of %s', async (program, command) => {
      if (!has(program)) return;
      await pair.establish({ role });
      await pair.serveWho();
      expect(await pair.ask(...command(WHO, '/', 'Who'))).toMatch(new RegExp(`\\b${uid}\\b`));
    });

    test('of dbus-next', async () => {
      await pair.establish({ role });
      const bus = await pair.through();
      const name = nameOf(bus);
      expect(await askBus(bus, 'GetConnectionUnixUser', name)).toBe(uid);
    });
  });

  test('lets nobody in whom it does not know, which the link says, and does once it knows them', async () => {
    const link = pair.link({ role: '5005' });
    pair.daemon.set(link);
    const is = (state: string) =>
      eventually(async () => {
        const shown = (await pair.daemon.shown()).find(({ role }) => role === '5005');
        expect(shown?.state).toBe(state);
        return shown;
      });
    expect((await is('failed'))?.last_error).toMatchObject({
      code: 'bus-refused',
      message: expect.stringMatching(/lets nobody in as uid 5005, which is the role "5005"/),
    });
    const { out } = await commandOf(pair.daemon.control, 'explain', 'consumer', 'bus');
    expect(out).toMatch(
      /\n✗ identity .*lets nobody in as uid 5005, .*\n.*Expected: a user for the role "5005"\.\n.*To do: Have the role be a user that the bus knows/,
    );
    await pair.provider.exec(['sh', '-c', 'echo "known::5005:5005:::" >> /etc/passwd']);
    await is('established');
    expect(await askBus(await pair.through(), 'NameHasOwner', WHO)).toBe(false);
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
    const busctl = COMMANDS.busctl(WHO, '/', 'Who');
    expect(await pair.ask(...busctl)).toContain('2001');
    await set(2002);
    expect(await pair.ask(...busctl)).toContain('2002');
  });

  test('takes descriptors from the consumer and hands its own over', async () => {
    await pair.establish({ role: '4711' });
    expect(await passFiles(pair)).toBe('ok');
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
    const over = overOf(other);
    pair.killBus();
    await over;
    await pair.startBus();
  });
});
