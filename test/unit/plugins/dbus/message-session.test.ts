/**
 * Messages that must not be mistaken for others: pieces of a long message, and those with the serials of our own
 * questions.
 */
import { describe, expect, test } from 'vitest';
import type { Port } from '../../../../src/plugins/dbus/filter.js';
import type { Message } from '../../../../src/plugins/dbus/message.js';
import { MessageSession } from '../../../../src/plugins/dbus/message-session.js';
import { writeMessage } from '../../../../src/plugins/dbus/message-writer.js';
import { Questions } from '../../../../src/plugins/dbus/questions.js';
import { WorkBudget } from '../../../../src/plugins/dbus/work-budget.js';
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
      work: new WorkBudget(),
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
      [0x7fff_0000, 'GetId'],
      [4, 'C'],
    ]);
  });
});

describe('serials of our questions', () => {
  test('are none that the consumer has used, whatever it uses', async () => {
    const { bus, consumer, ask } = asking();
    let answers = 0;
    for (const serial of [1, 0x7fff_0003, 0x7ffe_ffff, 0xffff_0001, 0xffff_ffff, 0x7ffd_0000]) {
      consumer.feed(serial === 1 ? toBus(1, 'Hello') : call(serial, 'a.b'));
      ask(() => answers++);
    }
    await Promise.resolve();
    const sent = headersOf(bus.take());
    expect(sent.filter(({ member }) => member !== 'GetId')).toHaveLength(6);
    const ours = sent.filter(({ member }) => member === 'GetId').map(({ serial }) => serial);
    expect(ours).toEqual([
      0x7fff_0000, 0x7ffe_0000, 0x7ffd_0000, 0x7ffd_0001, 0x7ffd_0002, 0x7ffc_0000,
    ]);
    for (const replySerial of ours) {
      bus.feed(writeMessage({ type: 2, serial: 1, replySerial, sender: 'org.freedesktop.DBus' }));
    }
    expect([answers, consumer.take().length]).toEqual([6, 0]);
  });

  test('may become the consumer’s too: the first answer is ours, the second its own', async () => {
    const { bus, consumer, ask } = asking();
    let answers = 0;
    consumer.feed(toBus(1, 'Hello'));
    ask(() => answers++);
    consumer.feed(toBus(0x7fff_0000, 'GetId'));
    const reply = { type: 2, serial: 1, replySerial: 0x7fff_0000, sender: 'org.freedesktop.DBus' };
    bus.feed(writeMessage(reply));
    expect([answers, consumer.take().length]).toEqual([1, 0]);
    bus.feed(writeMessage(reply));
    expect([answers, headersOf(consumer.take()).length]).toEqual([1, 1]);
  });

  test('go round when the consumer has used all there are', async () => {
    const questions = new Questions();
    for (let block = 0; block < 0x1_0000; block++) questions.heard(block * 0x1_0000 + 1);
    const [header] = headersOf(questions.ask('GetId', [], () => undefined));
    expect((header?.serial ?? 0) >>> 16).not.toBe(0xffff);
  });
});

/** A session whose one filter lets everything pass, and asks when it is told to. */
function asking() {
  const [consumer, bus] = [new FakeChannel(), new FakeChannel()];
  let port: Port | undefined;
  new MessageSession({
    ...{ consumer: consumer.channel, bus: bus.channel, fds: false, budget: { fds: 0 } },
    filters: [
      (made: Port) => {
        port = made;
        return { fromConsumer: () => 'pass' as const, fromBus: () => 'pass' as const };
      },
    ],
    onEnd: () => undefined,
    work: new WorkBudget(),
    tally: { toProvider: 0, toConsumer: 0, closes: {}, denied: {}, audited: {} },
  });
  return { consumer, bus, ask: (onAnswer: () => void) => port?.ask('GetId', [], onAnswer) };
}
