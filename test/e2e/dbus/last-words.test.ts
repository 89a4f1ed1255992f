/** What a client sent just before it left is delivered, as it is on the bus itself. */
import { once } from 'node:events';
import dbus from 'dbus-next';
import { describe, expect, test } from 'vitest';
import { LOGIN, RawClient, toBus, toPeer } from '../../support/bus/raw-client.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { LOCK, THERMOSTAT } from './example-policy.js';
import { SOCKET, TARGET, useBusPair } from './support.js';

const CALLS = 200;

describe.runIf(isRoot() && has('dbus-daemon'))('calls of a client that leaves at once', () => {
  const pair = useBusPair('--patience', '2', '--drain', '1');

  /** Serials of the calls that arrive. */
  const service = async (name: string): Promise<number[]> => {
    const bus = await pair.direct();
    await bus.requestName(name, 0);
    const serials: number[] = [];
    bus.addMethodHandler((message: dbus.Message) => {
      if (message.type !== dbus.MessageType.METHOD_CALL) return false;
      serials.push(Number(message.serial));
      bus.send(dbus.Message.newMethodReturn(message, 's', ['ok']));
      return true;
    });
    return serials;
  };
  const serials = Array.from({ length: CALLS }, (_, count) => count + 2);
  const calls = serials.map((serial) => toPeer(serial, THERMOSTAT));
  const refused = serials.map((serial) => toPeer(serial + CALLS, LOCK));

  describe.each([
    ['on the bus itself', null],
    ['without a policy', {}],
    ['under a policy', { policy: { talk: [THERMOSTAT] } }],
    ['under a policy that is tried', { policy: { see: ['*'] }, policy_mode: 'audit' as const }],
  ])('%s', (_where, fields) => {
    const start = async (): Promise<[path: string, arrived: number[]]> => {
      if (fields) await pair.establish({ role: 'operator', ...fields });
      const [at, path] = fields ? [pair.consumer, TARGET] : [pair.provider, SOCKET];
      return [at.rootDir + path, await service(THERMOSTAT)];
    };

    test('all arrive', async () => {
      const [path, arrived] = await start();
      const client = await RawClient.registered(path);
      client.send(...calls);
      client.socket.destroy();
      await eventually(() => expect(arrived).toEqual(serials));
    });

    // The bus itself lets nobody in who does not hear that it does.
    if (!fields) return;
    test('all arrive where it never listened', async () => {
      const [path, arrived] = await start();
      const client = new RawClient(path);
      await once(client.socket, 'connect');
      client.send(LOGIN, toBus(1, 'Hello'), ...calls);
      client.socket.destroy();
      await eventually(() => expect(arrived).toEqual(serials));
    });
  });

  test('all that may go arrive, although answers to the others have nobody to go to', async () => {
    await pair.establish({ role: 'operator', policy: { talk: [THERMOSTAT] } });
    const arrived = await service(THERMOSTAT);
    const client = await RawClient.registered(pair.consumer.rootDir + TARGET);
    client.send(...calls.flatMap((call, at) => [refused[at] as Buffer, call]));
    client.socket.destroy();
    await eventually(() => expect(arrived).toEqual(serials));
  });

  test('all arrive that came before what is no message', async () => {
    await pair.establish({ role: 'operator', policy: { talk: [THERMOSTAT] } });
    const arrived = await service(THERMOSTAT);
    const client = await RawClient.registered(pair.consumer.rootDir + TARGET);
    client.send(...calls, Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    await eventually(() => expect(client.isOver).toBe(true));
    await eventually(() => expect(arrived).toEqual(serials));
  });
});
