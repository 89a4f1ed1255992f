import { describe, expect, test } from 'vitest';
import { BUS, BUS_PATH, writeMessage } from '../../../../src/plugins/dbus/message-writer.js';
import { fc, property } from '../../../support/property.js';
import { CALL, encode, type FieldSpec, text } from './encoder.js';
import { headersOf, policySession, SELF, toBus } from './policy-session.js';
import { cuts } from './splits.js';

const THERMOSTAT = 'org.example.Thermostat';
const VAULT = 'com.hidden.Vault';
const RULES = { see: ['org.example.*'], talk: [THERMOSTAT], own: ['org.example.Me'] };
const OWNERS = { [THERMOSTAT]: ':1.2', 'org.example.Lock': ':1.3', [VAULT]: ':1.9' };
const NO_REPLY = 1;

const call = (serial: number, destination: string, fields = {}) =>
  writeMessage({
    type: 1,
    serial,
    destination,
    path: '/a',
    interface: 'a.b',
    member: 'C',
    ...fields,
  });
const fromPeer = (sender: string, type: number, fields = {}) =>
  writeMessage({ type, serial: 9, sender, ...fields });
const signalOfBus = (member: string, ...values: string[]) =>
  writeMessage({ type: 4, serial: 9, sender: BUS, path: BUS_PATH, interface: BUS, member }, values);

describe('a connection under a policy', () => {
  test('asks the bus for the owners of names that may be seen, and for no others', async () => {
    const { bus, consumer } = await policySession(RULES, OWNERS);
    consumer.feed(call(5, ':1.2'), call(6, ':1.3'), call(7, ':1.9'));
    expect(headersOf(bus.take()).map(({ serial }) => serial)).toEqual([5]);
    expect(
      headersOf(consumer.take()).map(({ replySerial, errorName }) => [replySerial, errorName]),
    ).toEqual([
      [6, 'org.freedesktop.DBus.Error.AccessDenied'],
      [7, 'org.freedesktop.DBus.Error.ServiceUnknown'],
    ]);
  });

  test('gets the answers to its calls, each once, and no others', async () => {
    const { bus, consumer } = await policySession(RULES, OWNERS);
    const answer = (replySerial: number) => fromPeer(':1.2', 2, { replySerial, destination: SELF });
    consumer.feed(call(5, THERMOSTAT), call(6, THERMOSTAT, { flags: NO_REPLY }));
    bus.feed(answer(5), answer(5), answer(6), answer(7));
    expect(headersOf(consumer.take()).map(({ replySerial }) => replySerial)).toEqual([5]);
  });

  test('answers whoever called it, once, and nobody else', async () => {
    const { bus, consumer } = await policySession(RULES, OWNERS);
    bus.feed(fromPeer(':1.9', 1, { destination: SELF, path: '/', member: 'Ask' }));
    const reply = (destination: string, replySerial: number) =>
      writeMessage({ type: 2, serial: 5, destination, replySerial });
    consumer.feed(reply(':1.9', 8), reply(':1.3', 9), reply(':1.9', 9), reply(':1.9', 9));
    expect(headersOf(bus.take())).toMatchObject([{ destination: ':1.9', replySerial: 9 }]);
  });

  test('has one call for each serial, and no list that nobody looks through', async () => {
    const { bus, consumer } = await policySession(RULES, OWNERS);
    const quiet = writeMessage({
      ...{ type: 1, flags: NO_REPLY, serial: 8, path: BUS_PATH, interface: BUS },
      ...{ member: 'ListNames', destination: BUS },
    });
    consumer.feed(toBus(7, 'ListNames'), toBus(7, 'GetId'), quiet);
    expect(headersOf(bus.take()).map(({ member }) => member)).toEqual(['ListNames']);
    expect(headersOf(consumer.take())).toMatchObject([{ type: 3, replySerial: 7 }]);
  });

  test('ends where a consumer sends no message', async () => {
    const { consumer, bus, ends } = await policySession(RULES, OWNERS);
    consumer.feed(call(4, THERMOSTAT), Buffer.from('x'.repeat(16)), call(5, THERMOSTAT));
    expect([consumer.isEnded, bus.isEnded]).toEqual([true, true]);
    expect(headersOf(bus.take()).map(({ serial }) => serial)).toEqual([4]);
    bus.onEnd?.();
    expect(ends).toMatchObject([['malformed', expect.any(String), undefined]]);
    expect([consumer.isOpen, bus.isOpen]).toEqual([false, false]);
  });

  test('has signals for whoever called it, and for nobody else', async () => {
    const { bus, consumer } = await policySession(RULES, OWNERS);
    const signal = (serial: number, destination: string) =>
      writeMessage({ type: 4, serial, destination, path: '/', interface: 'a.b', member: 'Done' });
    consumer.feed(signal(2, ':1.9'));
    bus.feed(fromPeer(':1.9', 1, { destination: SELF, path: '/', member: 'Ask' }));
    consumer.feed(signal(3, ':1.9'), signal(4, ':1.8'), call(5, ':1.9'));
    expect(headersOf(bus.take()).map(({ serial }) => serial)).toEqual([3]);
    bus.feed(signalOfBus('NameOwnerChanged', ':1.9', ':1.9', ''));
    consumer.feed(signal(6, ':1.9'));
    expect(bus.take()).toHaveLength(0);
  });

  test('may ask the bus without saying that it is for the bus', async () => {
    const { bus, consumer } = await policySession(RULES, OWNERS);
    const ask = (serial: number, of: string, member: string) =>
      writeMessage({ type: 1, serial, path: '/', interface: of, member });
    consumer.feed(ask(2, `${BUS}.Peer`, 'Ping'), ask(3, 'a.b', 'C'), ask(4, BUS, 'ReloadConfig'));
    expect(headersOf(bus.take()).map(({ serial }) => serial)).toEqual([2]);
    bus.feed(writeMessage({ type: 2, serial: 9, replySerial: 2 }));
    const told = headersOf(consumer.take());
    expect(told.map(({ replySerial, errorName }) => [replySerial, errorName])).toEqual([
      [3, `${BUS}.Error.UnknownMethod`],
      [4, `${BUS}.Error.UnknownMethod`],
      [2, undefined],
    ]);
  });

  test('in audit mode is what it is without one, and everything is told', async () => {
    const { bus, consumer, refused } = await policySession(RULES, OWNERS, false);
    const all = [call(5, VAULT), call(6, ':1.9'), toBus(7, 'ListNames'), toBus(7, 'ReloadConfig')];
    consumer.feed(...all);
    expect(bus.take()).toEqual(Buffer.concat(all));
    expect(consumer.take()).toHaveLength(0);
    expect(refused.map(({ names }) => names)).toEqual([[VAULT], [VAULT], []]);
  });

  test('has no match rule that could not be read, however its message is made', async () => {
    const { bus, consumer } = await policySession(RULES, OWNERS);
    const fields: FieldSpec[] = [
      ...([
        [1, 'o', BUS_PATH],
        [2, 's', BUS],
        [3, 's', 'AddMatch'],
        [6, 's', BUS],
      ] as const),
      [8, 'g', 's'],
      [200, 's', 'x'.repeat(65_300)],
    ];
    const rule = `eavesdrop='true',arg0='${'x'.repeat(200)}'`;
    consumer.feed(encode({ serial: 5, fields, body: text(rule) }), toBus(6, 'AddMatch', 1));
    await new Promise((resolve) => setImmediate(resolve)); // the first is a turn's work
    expect(bus.take()).toHaveLength(0);
    expect(headersOf(consumer.take())).toMatchObject([
      { type: 3, replySerial: 5 },
      { type: 3, replySerial: 6 },
    ]);
  });

  test('is not ended by what it may not do', async () => {
    const { bus, consumer, ends } = await policySession({}, OWNERS);
    consumer.feed(encode({ serial: 4, type: 77, fields: [] }), encode({ serial: 5, fields: CALL }));
    bus.feed(fromPeer(':1.2', 4, { path: '/', interface: 'a.b', member: 'C' }));
    expect(ends).toEqual([]);
    expect(headersOf(consumer.take())).toMatchObject([{ type: 3, replySerial: 5 }]);
  });
});

const serial = fc.integer({ min: 2, max: 6 });
const anyName = fc.constantFrom(THERMOSTAT, VAULT, 'org.example.Lock', ':1.2', ':1.9', SELF, BUS);
const asked = fc.constantFrom(
  ...['ListNames', 'GetId', 'GetNameOwner', 'NameHasOwner', 'ListQueuedOwners', 'RequestName'],
  ...['GetConnectionCredentials', 'ListActivatableNames', 'AddMatch', 'BecomeMonitor'],
);

/** Of the consumer: anything at all. */
const sent = fc.oneof(
  serial.map((one) => toBus(one, 'AddMatch', "type='signal'")),
  fc
    .tuple(serial, anyName, fc.constantFrom(0, NO_REPLY))
    .map(([one, to, flags]) => call(one, to, { flags })),
  fc
    .tuple(serial, asked, anyName)
    .map(([one, member, name]) =>
      toBus(one, member, ...(member.startsWith('List') || member === 'GetId' ? [] : [name])),
    ),
  fc
    .tuple(serial, anyName)
    .map(([replySerial, destination]) =>
      writeMessage({ type: 2, serial: 5, replySerial, destination }),
    ),
);
/** Of the bus: whatever one would send that knows the hidden name, and answers every call with it. */
const received = fc.oneof(
  serial.map((replySerial) =>
    writeMessage({ type: 2, serial: 9, sender: BUS, replySerial, destination: SELF }, [
      [BUS, VAULT, THERMOSTAT],
    ]),
  ),
  fc.constantFrom(
    signalOfBus('NameOwnerChanged', VAULT, ':1.9', ''),
    signalOfBus('NameOwnerChanged', VAULT, '', ':1.9'),
    fromPeer(':1.9', 4, { path: '/', interface: VAULT, member: 'Opened' }),
  ),
);

property('hides a name, whatever is sent in whatever order and pieces', async (holds) => {
  const steps = fc.array(
    fc.oneof(
      sent.map((bytes) => ['consumer', bytes] as const),
      received.map((bytes) => ['bus', bytes] as const),
    ),
    { maxLength: 24, size: 'max' },
  );
  const hidden = fc.asyncProperty(steps, cuts(), async (all, cut) => {
    const session = await policySession(RULES, OWNERS);
    const lists = new Set<number>();
    let told = Buffer.alloc(0);
    let passed = Buffer.alloc(0);
    for (const [who, bytes] of all) {
      // A bus answers only what reached it; what is not a list it would answer without the name.
      const isAnswer = who === 'bus' && bytes[1] === 2;
      const [header] = headersOf(bytes);
      if (isAnswer && !lists.delete(header?.replySerial as number)) continue;
      session[who].feed(...cut(bytes));
      const out = session.bus.take();
      for (const one of headersOf(out)) if (one.member?.startsWith('List')) lists.add(one.serial);
      passed = Buffer.concat([passed, out]);
      told = Buffer.concat([told, session.consumer.take()]);
    }
    expect(
      headersOf(passed).filter(({ destination }) => [VAULT, ':1.9'].includes(String(destination))),
    ).toEqual([]);
    const answers = headersOf(told).filter(({ type }) => type !== 3);
    expect(answers.every(({ sender }) => sender !== ':1.9')).toBe(true);
    expect(withoutErrors(told).includes(VAULT)).toBe(false);
    expect(session.ends).toEqual([]);
  });
  await holds(hidden, { runs: 300 });
});

/** An error repeats the name that the consumer itself said. */
function withoutErrors(bytes: Buffer): Buffer {
  const rest: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = ((16 + bytes.readUInt32LE(at + 12) + 7) & -8) + bytes.readUInt32LE(at + 4);
    if (bytes[at + 1] !== 3) rest.push(bytes.subarray(at, at + length));
    at += length;
  }
  return Buffer.concat(rest);
}
