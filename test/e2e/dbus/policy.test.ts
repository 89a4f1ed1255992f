/** What a policy lets a consumer do, against services on a real bus that would let it do everything. */
import dbus, { type MessageBus } from 'dbus-next';
import { beforeEach, describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import {
  ADMIN,
  DENIED,
  LOCK,
  NO_OWNER,
  OBJECT,
  POLICY,
  SERVICES,
  THERMOSTAT,
  UNKNOWN,
  VAULT,
} from './example-policy.js';
import { askBus, call, nameOf, requestName, useBusPair } from './support.js';

describe.runIf(isRoot() && has('dbus-daemon'))('a policy', () => {
  const pair = useBusPair('--patience', '2');
  let consumer: MessageBus;
  let services: Record<string, MessageBus>;
  const uniqueOf = (name: string) => nameOf(services[name] as MessageBus);

  beforeEach(async () => {
    await pair.establish({ role: 'operator', policy: POLICY });
    services = await pair.serveAll(...SERVICES);
    consumer = await pair.through();
  });

  test('lets calls pass that it names, by well-known and by unique name', async () => {
    expect(await call(consumer, THERMOSTAT, 'Anything')).toBe('ok');
    const path = OBJECT;
    expect(await call(consumer, ADMIN, 'Status', { path })).toBe('ok');
    expect(await call(consumer, uniqueOf(THERMOSTAT), 'Any', { interface: 'a.b' })).toBe('ok');
    const byUnique = { path, interface: ADMIN };
    expect(await call(consumer, uniqueOf(ADMIN), 'Status', byUnique)).toBe('ok');
  });

  test('refuses the others, and says of names that may not be seen that they are not there', async () => {
    const path = OBJECT;
    expect(await call(consumer, ADMIN, 'Reset', { path })).toBe(DENIED);
    expect(await call(consumer, ADMIN, 'Status', { path: '/org/other' })).toBe(DENIED);
    expect(await call(consumer, uniqueOf(ADMIN), 'Reset', { path, interface: ADMIN })).toBe(DENIED);
    expect(await call(consumer, LOCK, 'Open')).toBe(DENIED);
    expect(await call(consumer, VAULT, 'Open')).toBe(UNKNOWN);
    expect(await call(consumer, uniqueOf(VAULT), 'Open', { interface: VAULT })).toBe(UNKNOWN);
    expect(await call(consumer, 'com.nobody.Here', 'Open')).toBe(UNKNOWN);
    expect(await call(consumer, THERMOSTAT, 'Get')).toBe('ok');
  });

  test('takes out of lists what may not be seen', async () => {
    const names = (await askBus(consumer, 'ListNames')) as string[];
    const visible = ['org.freedesktop.DBus', THERMOSTAT, ADMIN, LOCK];
    const unique = [THERMOSTAT, ADMIN, LOCK].map(uniqueOf);
    expect(names.sort()).toEqual([...visible, ...unique, nameOf(consumer)].sort());
    expect(await askBus(consumer, 'ListActivatableNames')).toEqual(['org.freedesktop.DBus']);
  });

  test('answers questions about names that may not be seen as if they were not there', async () => {
    for (const name of [VAULT, uniqueOf(VAULT), 'com.nobody.Here', ':1.9999']) {
      expect(await askBus(consumer, 'NameHasOwner', name)).toBe(false);
      for (const member of ['GetNameOwner', 'GetConnectionUnixUser', 'GetConnectionCredentials']) {
        expect(await askBus(consumer, member, name)).toBe(NO_OWNER);
      }
    }
    expect(await askBus(consumer, 'NameHasOwner', LOCK)).toBe(true);
    expect(await askBus(consumer, 'GetNameOwner', LOCK)).toBe(uniqueOf(LOCK));
    expect(await askBus(consumer, 'GetConnectionUnixUser', uniqueOf(LOCK))).toBe(0);
    expect(await askBus(consumer, 'GetConnectionUnixUser', nameOf(consumer))).toBe(1234);
  });

  test('lets only those names be taken that it names', async () => {
    expect(await requestName(consumer, 'org.example.Operator')).toBe(1);
    expect(await requestName(consumer, 'org.example.Other')).toBe(DENIED);
    expect(await requestName(consumer, VAULT)).toBe(DENIED);
    expect(await askBus(consumer, 'ReleaseName', 'org.example.Operator')).toBe(1);
    expect(await askBus(consumer, 'ReleaseName', LOCK)).toBe(DENIED);
    expect(await askBus(consumer, 'ListQueuedOwners', LOCK)).toBe(DENIED);
  });

  test('lets nobody overhear or look into the bus', async () => {
    expect(await askBus(consumer, 'AddMatch', "eavesdrop='true'")).toBe(DENIED);
    expect(await askBus(consumer, 'AddMatch', "type='signal',eavesdrop=true")).toBe(DENIED);
    const interfaces = {
      interface: 'org.freedesktop.DBus.Monitoring',
      signature: 'asu',
      body: [[], 0],
    };
    expect(await call(consumer, 'org.freedesktop.DBus', 'BecomeMonitor', interfaces)).toBe(DENIED);
    const stats = { interface: 'org.freedesktop.DBus.Debug.Stats' };
    expect(await call(consumer, 'org.freedesktop.DBus', 'GetStats', stats)).toBe(DENIED);
    expect(await askBus(consumer, 'ReloadConfig')).toBe(DENIED);
  });

  test('lets signals be heard that it names, whatever was asked for', async () => {
    const heard: string[] = [];
    consumer.on('message', ({ interface: of, member }: dbus.Message) => {
      if (of?.startsWith('org.example.') || of?.startsWith('com.')) heard.push(`${of}.${member}`);
    });
    for (const rule of ["type='signal'", `sender='${VAULT}'`, `interface='${LOCK}'`]) {
      await askBus(consumer, 'AddMatch', rule);
    }
    for (const [name, member] of [
      [VAULT, 'Opened'],
      [LOCK, 'Opened'],
      [ADMIN, 'Secret'],
      [ADMIN, 'Changed'],
      [THERMOSTAT, 'Changed'],
    ] as const) {
      services[name]?.send(dbus.Message.newSignal('/org/example', name, member));
      await askBus(services[name] as MessageBus, 'GetId');
    }
    await eventually(() => expect(heard.at(-1)).toBe(`${THERMOSTAT}.Changed`));
    expect(heard).toEqual([`${ADMIN}.Changed`, `${THERMOSTAT}.Changed`]);
  });

  test('follows names to their next owners', async () => {
    const changes: string[][] = [];
    consumer.on('message', ({ member, body }: dbus.Message) => {
      if (member === 'NameOwnerChanged') changes.push(body as string[]);
    });
    const rule = "type='signal',member='NameOwnerChanged'";
    await askBus(consumer, 'AddMatch', rule);
    const old = uniqueOf(THERMOSTAT);
    services[THERMOSTAT]?.disconnect();
    services[VAULT]?.disconnect();
    await eventually(() => expect(changes.map(([name]) => name)).toEqual([THERMOSTAT, old]));
    expect(await call(consumer, old, 'Any', { interface: 'a.b' })).toBe(UNKNOWN);
    const next = await pair.serve(THERMOSTAT);
    await eventually(() => expect(changes.at(-1)).toEqual([THERMOSTAT, '', nameOf(next)]));
    expect(await call(consumer, nameOf(next), 'Any', { interface: 'a.b' })).toBe('ok');
    await askBus(next, 'ReleaseName', THERMOSTAT);
    await eventually(() => expect(changes.at(-1)).toEqual([THERMOSTAT, nameOf(next), '']));
    expect(await call(consumer, nameOf(next), 'Any', { interface: 'a.b' })).toBe(DENIED);
  });

  test('tells of changes only who asked for them', async () => {
    const changes: unknown[] = [];
    consumer.on('message', ({ member, body }: dbus.Message) => {
      if (member === 'NameOwnerChanged') changes.push(body);
    });
    services[LOCK]?.disconnect();
    await eventually(async () => expect(await askBus(consumer, 'NameHasOwner', LOCK)).toBe(false));
    expect(changes).toEqual([]);
  });

  test('lets those who call the consumer be answered and be seen', async () => {
    await requestName(consumer, 'org.example.Operator');
    let caller = '';
    consumer.addMethodHandler((message: dbus.Message) => {
      if (message.member !== 'Ask') return false;
      caller = String(message.sender);
      consumer.send(dbus.Message.newMethodReturn(message, 's', ['answer']));
      return true;
    });
    const vault = services[VAULT] as MessageBus;
    expect(await call(vault, 'org.example.Operator', 'Ask')).toBe('answer');
    expect(await askBus(consumer, 'NameHasOwner', caller)).toBe(true);
    expect(await call(consumer, caller, 'Open', { interface: VAULT })).toBe(DENIED);
  });

  test('that says nothing of a role lets it do nothing', async () => {
    await pair.establish({ role: 'app', policy: {} });
    const other = await pair.through();
    expect(await call(other, THERMOSTAT, 'Get')).toBe(UNKNOWN);
    const names = (await askBus(other, 'ListNames')) as string[];
    expect(names.sort()).toEqual([nameOf(other), 'org.freedesktop.DBus'].sort());
  });
});
