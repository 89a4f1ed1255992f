/** Calls that do not say whom they are for (D-Bus specification, "Message Bus Message Routing"): as on the bus itself. */
import { describe, expect, test } from 'vitest';
import { writeMessage } from '../../../src/plugins/dbus/message-writer.js';
import { RawClient } from '../../support/bus/raw-client.js';
import { has, isRoot } from '../../support/requirements.js';
import { SOCKET, TARGET, useBusPair } from './support.js';

const BUS = 'org.freedesktop.DBus';
const PEER = `${BUS}.Peer`;

const CALLS: [what: string, fields: object, values: (string | number)[]][] = [
  ['Peer.Ping', { interface: PEER, member: 'Ping' }, []],
  ['Peer.GetMachineId', { interface: PEER, member: 'GetMachineId' }, []],
  ['an unknown method of Peer', { interface: PEER, member: 'Pong' }, []],
  ['a method of the bus', { interface: BUS, member: 'ListNames' }, []],
  ['a method of the bus about a name', { interface: BUS, member: 'GetNameOwner' }, ['a.b']],
  ['a name that may not be owned', { interface: BUS, member: 'RequestName' }, ['a.b', 0]],
  ['an administrator’s method', { interface: BUS, member: 'ReloadConfig' }, []],
  ['somebody’s method', { interface: 'org.example.Foo', member: 'Bar' }, ['x']],
  ['a method without an interface', { member: 'Bar' }, []],
];

describe.runIf(isRoot() && has('dbus-daemon'))('a call without a destination', () => {
  const pair = useBusPair('--patience', '2', '--drain', '1');

  /** Types and errors of all answers, with the bytes that they were heard as from the error's name on. */
  const answers = async (path: string): Promise<unknown[]> => {
    const client = await RawClient.registered(path);
    const calls = CALLS.map(([, fields, values], at) =>
      writeMessage({ type: 1, serial: 10 + at, path: '/', ...fields }, values),
    );
    client.send(...calls);
    const heard = await Promise.all(CALLS.map((_, at) => client.answer(10 + at)));
    client.socket.destroy();
    const said = client.text.match(/(Method "|Unknown method)[^\n\0]*/g)?.sort();
    return [heard.map(({ type, errorName, signature }) => [type, errorName, signature]), said];
  };

  test.each([
    ['without a policy', {}],
    ['under a policy that allows nothing', { policy: {} }],
    ['under a policy that is tried', { policy: {}, policy_mode: 'audit' as const }],
  ])('is answered as on the bus itself %s', async (_, fields) => {
    await pair.establish({ role: 'operator', ...fields });
    const direct = await answers(pair.provider.rootDir + SOCKET);
    expect(direct[0]).toContainEqual([2, undefined, '']);
    expect(await answers(pair.consumer.rootDir + TARGET)).toEqual(direct);
  });
});
