/** What must not be taken for something else: pieces of a long message, serials of our own questions. */
import { describe, expect, test } from 'vitest';
import type { Port } from '../../../../src/plugins/dbus/filter.js';
import type { Message } from '../../../../src/plugins/dbus/message.js';
import { MessageSession } from '../../../../src/plugins/dbus/message-session.js';
import { writeMessage } from '../../../../src/plugins/dbus/message-writer.js';
import { FakeChannel } from './fake-channel.js';
import { headersOf, policySession, SELF, toBus } from './policy-session.js';

const THERMOSTAT = 'org.example.Thermostat';
const RULES = { talk: [THERMOSTAT] };
const OWNERS = { [THERMOSTAT]: ':1.2' };
const KIB = 1024;

const call = (serial: number, destination: string, length = 0) =>
  writeMessage({ type: 1, serial, destination, path: '/a', interface: 'a.b', member: 'C' }, [
    'x'.repeat(length),
  ]);

describe('a long message', () => {
  test('to the consumer is whole, whatever it is answered meanwhile', async () => {
    const { bus, consumer } = await policySession(RULES, OWNERS);
    const long = writeMessage(
      {
        ...{ type: 4, serial: 9, sender: ':1.2', destination: SELF },
        ...{ path: '/a', interface: 'a.b', member: 'C' },
      },
      ['x'.repeat(1_100 * KIB)],
    );
    bus.feed(long.subarray(0, 500 * KIB), long.subarray(500 * KIB, 1_050 * KIB));
    consumer.feed(call(5, 'org.example.Lock'));
    expect(consumer.isReading).toBe(false);
    bus.feed(long.subarray(1_050 * KIB));
    expect(consumer.isReading).toBe(true);
    const told = consumer.take();
    expect(told.subarray(0, long.length).equals(long)).toBe(true);
    expect(headersOf(told.subarray(long.length))).toMatchObject([{ type: 3, replySerial: 5 }]);
  });

  test('to the bus carries no message of its own making past the policy', async () => {
    const [consumer, bus] = [new FakeChannel(), new FakeChannel()];
    let port: Port | undefined;
    const held: Message[] = [];
    const holding = (made: Port) => {
      port = made;
      return {
        fromConsumer: (message: Message) => {
          if (message.header.serial !== 2) return 'pass' as const;
          held.push(message);
          return 'hold' as const;
        },
        fromBus: () => 'pass' as const,
      };
    };
    new MessageSession({
      ...{ consumer: consumer.channel, bus: bus.channel, fds: false, budget: { fds: 0 } },
      ...{ filters: [holding], onEnd: () => undefined },
      tally: { toProvider: 0, toConsumer: 0, closes: {}, denied: {}, audited: {} },
    });
    const [first, long, last] = [call(2, 'a.b'), call(3, THERMOSTAT, 80 * KIB), call(4, 'a.b')];
    consumer.feed(toBus(1, 'Hello'), first, long.subarray(0, 70 * KIB));
    port?.release(held[0] as Message);
    port?.ask('GetId', [], () => undefined);
    consumer.feed(long.subarray(70 * KIB), last);
    const members = headersOf(bus.take()).map(({ serial, member }) => [serial, member]);
    expect(members).toEqual([
      [1, 'Hello'],
      [3, 'C'],
      [2, 'C'],
      [0xffff_0001, 'GetId'],
      [4, 'C'],
    ]);
  });
});

test('a consumer has none of our serials, for its Hello neither', () => {
  const [consumer, bus] = [new FakeChannel(), new FakeChannel()];
  const ends: unknown[] = [];
  new MessageSession({
    ...{ consumer: consumer.channel, bus: bus.channel, fds: false, budget: { fds: 0 } },
    ...{ filters: [], onEnd: (reason: string) => ends.push(reason) },
    tally: { toProvider: 0, toConsumer: 0, closes: {}, denied: {}, audited: {} },
  });
  consumer.feed(toBus(0xffff_0001, 'Hello'));
  bus.onEnd?.();
  expect(ends).toEqual(['malformed']);
  expect(bus.take()).toHaveLength(0);
});
