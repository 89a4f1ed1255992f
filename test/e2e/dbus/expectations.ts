/**
 * What a client gets of a bus: directly, through xdg-dbus-proxy, and through a link with the same rules. Every row says
 * all three, and where ours lets more pass than xdg-dbus-proxy does, why.
 */
import dbus from 'dbus-next';
import {
  type Ask,
  answers,
  ask,
  askUnique,
  at,
  BUS,
  broadcasts,
  calls,
  callsUnique,
  hears,
  hearsOwner,
  INTROSPECT,
  listens,
  lists,
  ofBus,
  reply,
  requests,
  signal,
  signals,
  signalsCaller,
  starts,
} from './asks.js';
import { ADMIN, LOCK, OBJECT, THERMOSTAT, VAULT } from './example-policy.js';
import { call } from './support.js';

export const POLICY = {
  see: ['org.example.*'],
  talk: [THERMOSTAT],
  own: ['org.example.Operator', 'org.example.Mine.*'],
  call: { [ADMIN]: [`${ADMIN}.Status@/org/example/*`, `${ADMIN}.Ping`, '*@/open'] },
  broadcast: { [ADMIN]: [`${ADMIN}.Changed`] },
};

/** The same for xdg-dbus-proxy(1). */
export const RULES = [
  ...POLICY.see.map((name) => `--see=${name}`),
  ...POLICY.talk.map((name) => `--talk=${name}`),
  ...POLICY.own.map((name) => `--own=${name}`),
  ...Object.entries(POLICY.call).flatMap(([name, all]) =>
    all.map((rule) => `--call=${name}=${rule}`),
  ),
  ...Object.entries(POLICY.broadcast).flatMap(([name, all]) =>
    all.map((rule) => `--broadcast=${name}=${rule}`),
  ),
];

const ABSENT = 'org.example.Absent';
const OPERATOR = 'org.example.Operator';

export interface Row {
  readonly what: string;
  readonly ask: Ask;
  /** Directly, through xdg-dbus-proxy, through ours. */
  readonly answers: readonly [string, string, string];
  /** Why ours lets more pass. */
  readonly laxer?: string;
}

export const TABLE: readonly Row[] = (
  [
    [
      'lists a name that it may talk to',
      lists('ListNames', () => THERMOSTAT),
      ['true', 'true', 'true'],
    ],
    ['lists a name that it may see', lists('ListNames', () => LOCK), ['true', 'true', 'true']],
    ['lists a hidden name', lists('ListNames', () => VAULT), ['true', 'false', 'false']],
    ['lists itself', lists('ListNames', ({ self }) => self), ['true', 'true', 'true']],
    [
      'lists who owns a name that it may see',
      lists('ListNames', (world) => world.unique(LOCK)),
      ['true', 'true', 'true'],
    ],
    [
      'lists who owns a hidden name',
      lists('ListNames', (world) => world.unique(VAULT)),
      ['true', 'false', 'false'],
    ],
    ['lists what may be started', ask('ListActivatableNames'), ['ok', 'ok', 'ok']],
    [
      'asks for the owner of a name that it may talk to',
      ask('GetNameOwner', THERMOSTAT),
      ['ok', 'ok', 'ok'],
    ],
    ['asks for the owner of a name that it may see', ask('GetNameOwner', LOCK), ['ok', 'ok', 'ok']],
    [
      'asks for the owner of a name that it may call',
      ask('GetNameOwner', ADMIN),
      ['ok', 'ok', 'ok'],
    ],
    [
      'asks for the owner of a hidden name',
      ask('GetNameOwner', VAULT),
      ['ok', 'NameHasNoOwner', 'NameHasNoOwner'],
    ],
    [
      'asks for the owner of a name that nobody has',
      ask('GetNameOwner', ABSENT),
      ['NameHasNoOwner', 'NameHasNoOwner', 'NameHasNoOwner'],
    ],
    ['asks for the owner of the bus', ask('GetNameOwner', BUS), ['ok', 'ok', 'ok']],
    [
      'asks for the owner of a unique name that it may see',
      askUnique('GetNameOwner', LOCK),
      ['ok', 'ok', 'ok'],
    ],
    [
      'asks for the owner of a hidden unique name',
      askUnique('GetNameOwner', VAULT),
      ['ok', 'NameHasNoOwner', 'NameHasNoOwner'],
    ],
    [
      'asks whether somebody owns a name that it may see',
      ask('NameHasOwner', LOCK),
      ['true', 'true', 'true'],
    ],
    [
      'asks whether somebody owns a hidden name',
      ask('NameHasOwner', VAULT),
      ['true', 'false', 'false'],
    ],
    [
      'asks whether a hidden unique name is there',
      askUnique('NameHasOwner', VAULT),
      ['true', 'false', 'false'],
    ],
    [
      'asks who is behind a name that it may see',
      ask('GetConnectionCredentials', LOCK),
      ['ok', 'ok', 'ok'],
    ],
    [
      'asks who is behind a hidden name',
      ask('GetConnectionCredentials', VAULT),
      ['ok', 'ServiceUnknown', 'NameHasNoOwner'],
    ],
    [
      'asks who is behind a hidden unique name',
      askUnique('GetConnectionCredentials', VAULT),
      ['ok', 'ServiceUnknown', 'NameHasNoOwner'],
    ],
    [
      'asks for the uid behind a name that it may see',
      ask('GetConnectionUnixUser', LOCK),
      ['ok', 'ok', 'ok'],
    ],
    [
      'asks for the uid behind a hidden name',
      ask('GetConnectionUnixUser', VAULT),
      ['ok', 'ServiceUnknown', 'NameHasNoOwner'],
    ],
    [
      'asks for the pid behind a hidden name',
      ask('GetConnectionUnixProcessID', VAULT),
      ['ok', 'ServiceUnknown', 'NameHasNoOwner'],
    ],
    [
      'asks for the audit data behind a hidden name',
      ask('GetAdtAuditSessionData', VAULT),
      ['AdtAuditDataUnknown', 'ServiceUnknown', 'NameHasNoOwner'],
    ],
    [
      'asks who waits for a name that it may see',
      ask('ListQueuedOwners', LOCK),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'asks who waits for a hidden name',
      ask('ListQueuedOwners', VAULT),
      ['ok', 'ServiceUnknown', 'NameHasNoOwner'],
    ],
    [
      'asks who waits for a name of its own that nobody has',
      ask('ListQueuedOwners', OPERATOR),
      ['NameHasNoOwner', 'NameHasNoOwner', 'NameHasNoOwner'],
    ],
    [
      'starts a name that it may talk to',
      starts(THERMOSTAT),
      ['ServiceUnknown', 'ServiceUnknown', 'ServiceUnknown'],
    ],
    [
      'starts a name that it may see',
      starts(LOCK),
      ['ServiceUnknown', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'starts a name that it may call',
      starts(ADMIN),
      ['ServiceUnknown', 'ServiceUnknown', 'ServiceUnknown'],
    ],
    ['starts a hidden name', starts(VAULT), ['ServiceUnknown', 'ServiceUnknown', 'ServiceUnknown']],
    [
      'starts a name that it may see and nobody has',
      starts(ABSENT),
      ['ServiceUnknown', 'AccessDenied', 'AccessDenied'],
    ],
    ['takes a name of its own', requests(OPERATOR), ['ok', 'ok', 'ok']],
    ['takes a name below one of its own', requests('org.example.Mine.Sub.Sub'), ['ok', 'ok', 'ok']],
    ['takes the name above those', requests('org.example.Mine'), ['ok', 'ok', 'ok']],
    [
      'takes a name that only begins as one of its own',
      requests('org.example.MineToo'),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    ['takes a name that it may see', requests(ABSENT), ['ok', 'AccessDenied', 'AccessDenied']],
    [
      'takes a name that it may talk to',
      requests(THERMOSTAT),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    ['takes a hidden name', requests('com.hidden.Other'), ['ok', 'ServiceUnknown', 'AccessDenied']],
    ['gives back a name of its own', ask('ReleaseName', OPERATOR), ['ok', 'ok', 'ok']],
    [
      'gives back a name of another',
      ask('ReleaseName', VAULT),
      ['ok', 'ServiceUnknown', 'AccessDenied'],
    ],
    ['calls a name that it may talk to', calls(THERMOSTAT), ['ok', 'ok', 'ok']],
    ['calls it by its unique name', callsUnique(THERMOSTAT), ['ok', 'ok', 'ok']],
    [
      'calls any interface and object of it',
      calls(THERMOSTAT, 'Any', at('/any', 'any.thing')),
      ['ok', 'ok', 'ok'],
    ],
    ['calls a name that it may see', calls(LOCK), ['ok', 'AccessDenied', 'AccessDenied']],
    [
      'calls it by its unique name, which it may see',
      callsUnique(LOCK),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'asks a name that it may see for its properties',
      calls(LOCK, 'GetAll', {
        interface: 'org.freedesktop.DBus.Properties',
        signature: 's',
        body: [''],
      }),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'introspects a name that it may see',
      calls(LOCK, 'Introspect', INTROSPECT),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'pings a name that it may see',
      calls(LOCK, 'Ping', { interface: 'org.freedesktop.DBus.Peer' }),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    ['calls a hidden name', calls(VAULT), ['ok', 'ServiceUnknown', 'ServiceUnknown']],
    [
      'calls the hidden one by its unique name',
      callsUnique(VAULT),
      ['ok', 'NameHasNoOwner', 'ServiceUnknown'],
    ],
    [
      'calls a name that nobody has',
      calls(ABSENT),
      ['ServiceUnknown', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'calls a hidden name that nobody has',
      calls('com.hidden.Absent'),
      ['ServiceUnknown', 'ServiceUnknown', 'ServiceUnknown'],
    ],
    [
      'calls a unique name that nobody has',
      calls(':1.99999', 'Get', { interface: 'a.b' }),
      ['ServiceUnknown', 'NameHasNoOwner', 'ServiceUnknown'],
    ],
    [
      'calls itself',
      ({ client, self }) => call(client, self, 'Peer', { interface: 'a.b' }),
      ['UnknownMethod', 'UnknownMethod', 'UnknownMethod'],
    ],
    [
      'calls a method that a rule names, on an object that it names',
      calls(ADMIN, 'Status', at(OBJECT)),
      ['ok', 'ok', 'ok'],
    ],
    [
      'calls that method by the unique name',
      callsUnique(ADMIN, 'Status', at(OBJECT)),
      ['ok', 'ok', 'ok'],
    ],
    [
      'calls it on the object above',
      calls(ADMIN, 'Status', at('/org/example')),
      ['ok', 'ok', 'ok'],
    ],
    [
      'calls it on an object beside',
      calls(ADMIN, 'Status', at('/org/exampleToo')),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'calls it on another object',
      calls(ADMIN, 'Status', at('/')),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'calls another method there',
      calls(ADMIN, 'Reboot', at(OBJECT)),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'calls a method of that name of another interface',
      calls(ADMIN, 'Status', at(OBJECT, 'org.example.Other')),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'calls a method that a rule names, anywhere',
      calls(ADMIN, 'Ping', at('/any')),
      ['ok', 'ok', 'ok'],
    ],
    [
      'calls anything of an object that a rule names',
      calls(ADMIN, 'Any', at('/open', 'any.thing')),
      ['ok', 'ok', 'ok'],
    ],
    [
      'calls anything of an object below it',
      calls(ADMIN, 'Any', at('/open/below', 'any.thing')),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'gets properties of a name with rules for other calls',
      calls(ADMIN, 'GetAll', {
        ...at(OBJECT, 'org.freedesktop.DBus.Properties'),
        signature: 's',
        body: [''],
      }),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'broadcasts a signal, which is heard by whom it may talk to',
      broadcasts(THERMOSTAT),
      ['heard', 'heard', 'heard'],
    ],
    [
      'broadcasts a signal, which is heard by whom it may not see',
      broadcasts(VAULT),
      ['heard', 'heard', 'heard'],
    ],
    ['sends a signal to whom it may talk to', signals(THERMOSTAT), ['heard', 'heard', 'heard']],
    ['sends a signal to whom it may see', signals(LOCK), ['heard', 'nothing', 'nothing']],
    ['sends a signal to whom it may not see', signals(VAULT), ['heard', 'nothing', 'nothing']],
    ['hears the signals of whom it may talk to', hears(THERMOSTAT), ['heard', 'heard', 'heard']],
    ['hears the signals of whom it may see', hears(LOCK), ['heard', 'nothing', 'nothing']],
    ['hears the signals of whom it may not see', hears(VAULT), ['heard', 'nothing', 'nothing']],
    ['hears a signal that a rule names', hears(ADMIN, 'Changed'), ['heard', 'heard', 'heard']],
    ['hears another signal there', hears(ADMIN, 'Other'), ['heard', 'nothing', 'nothing']],
    [
      'hears a signal that somebody hidden sends to it alone',
      (world) => world.hears(VAULT, signal(VAULT, world.self)),
      ['heard', 'heard', 'heard'],
    ],
    ['answers somebody hidden that calls it', answers(VAULT, 1), ['heard', 'heard', 'heard']],
    ['answers it twice', answers(VAULT, 2), ['heard', 'nothing', 'nothing']],
    [
      'answers somebody that did not call it',
      (world) => world.sends(reply(world.unique(LOCK), 77_777), LOCK),
      ['heard', 'nothing', 'nothing'],
    ],
    [
      'answers somebody hidden that did not call it',
      (world) => world.sends(reply(world.unique(VAULT), 77_777), VAULT),
      ['heard', 'nothing', 'nothing'],
    ],
    [
      'sends a signal to somebody hidden that called it',
      signalsCaller(VAULT),
      ['heard', 'nothing', 'heard'],
      'It is another kind of answer: what was asked for is done, and who asked is told so.',
    ],
    [
      'calls somebody hidden that called it',
      async (world) => {
        await answers(VAULT, 1)(world);
        return callsUnique(VAULT)(world);
      },
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'hears that a name that it may see has another owner',
      hearsOwner('org.example.Coming'),
      ['heard', 'heard', 'heard'],
    ],
    [
      'hears that a hidden name has another owner',
      hearsOwner('com.hidden.Coming'),
      ['heard', 'nothing', 'nothing'],
    ],
    ['listens to everything that it is sent', (world) => listens(world), ['ok', 'ok', 'ok']],
    [
      'listens to somebody hidden',
      (world) => listens(world, `sender='${VAULT}'`),
      ['ok', 'ok', 'ok'],
    ],
    [
      'listens to what is for others',
      (world) => listens(world, `type='method_call',eavesdrop='true'`),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'listens to what is for others, in other words',
      (world) => listens(world, `eavesdrop=true`),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'does not listen to what is for others',
      (world) => listens(world, `type='signal',eavesdrop='false'`),
      ['ok', 'AccessDenied', 'ok'],
      'It asks for nothing that is not asked for without the word.',
    ],
    [
      'becomes a monitor',
      ofBus('BecomeMonitor', {
        interface: 'org.freedesktop.DBus.Monitoring',
        signature: 'asu',
        body: [[], 0],
      }),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    ['has the bus reload', ofBus('ReloadConfig'), ['ok', 'AccessDenied', 'AccessDenied']],
    [
      'changes the environment of what is started',
      ofBus('UpdateActivationEnvironment', { signature: 'a{ss}', body: [{}] }),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'asks for statistics',
      ofBus('GetStats', { interface: 'org.freedesktop.DBus.Debug.Stats' }),
      ['ok', 'AccessDenied', 'AccessDenied'],
    ],
    ['asks for the id of the bus', ofBus('GetId'), ['ok', 'ok', 'ok']],
    ['introspects the bus', ofBus('Introspect', INTROSPECT), ['ok', 'ok', 'ok']],
    [
      'pings the bus',
      ofBus('Ping', { interface: 'org.freedesktop.DBus.Peer' }),
      ['ok', 'AccessDenied', 'ok'],
      'It tells that the bus is there, which whoever has Hello answered knows.',
    ],
    [
      'asks for the machine',
      ofBus('GetMachineId', { interface: 'org.freedesktop.DBus.Peer' }),
      ['FileNotFound', 'AccessDenied', 'FileNotFound'],
      'The specification has every peer answer it, and libraries ask the bus.',
    ],
    [
      'asks for a property of the bus',
      ofBus('Get', {
        interface: 'org.freedesktop.DBus.Properties',
        signature: 'ss',
        body: [BUS, 'Features'],
      }),
      ['ok', 'AccessDenied', 'ok'],
      "What the bus can do is nobody's secret, and libraries ask before they use it.",
    ],
    [
      'sets a property of the bus',
      ofBus('Set', {
        interface: 'org.freedesktop.DBus.Properties',
        signature: 'ssv',
        body: [BUS, 'Features', new dbus.Variant('s', '')],
      }),
      ['PropertyReadOnly', 'AccessDenied', 'AccessDenied'],
    ],
    [
      'calls what the bus does not have',
      ofBus('NoSuchMethod'),
      ['UnknownMethod', 'AccessDenied', 'AccessDenied'],
    ],
  ] as [string, Ask, Row['answers'], string?][]
).map(([what, ask, answers, laxer]) => ({
  ...{ what, ask, answers },
  ...(laxer === undefined ? {} : { laxer }),
}));
