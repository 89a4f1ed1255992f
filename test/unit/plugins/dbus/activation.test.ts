/** Calls that wait for their receiver to be started: which, for how long, in what order, and what else goes on. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { mayActivate } from '../../../../src/plugins/dbus/activation.js';
import { Flag, MessageType } from '../../../../src/plugins/dbus/header.js';
import type { Message } from '../../../../src/plugins/dbus/message.js';
import { BUS, busCall, writeMessage } from '../../../../src/plugins/dbus/message-writer.js';
import { BAR, call, FOO, Stand, toMessage } from './activation-stand.js';

const LIMITS_EXCEEDED = 'org.freedesktop.DBus.Error.LimitsExceeded';

let at: Stand;
beforeEach(() => {
  vi.useFakeTimers();
  at = new Stand();
});
afterEach(() => vi.useRealTimers());

describe('a call to a name that is started on demand', () => {
  it('waits until the bus has said that somebody owns it, once', () => {
    const first = call(FOO);
    expect(at.filter.fromConsumer(first)).toBe('hold');
    expect(at.asked).toEqual([
      `AddMatch type='signal',sender='${BUS}',interface='${BUS}',member='NameOwnerChanged',arg0='${FOO}'`,
      `NameHasOwner ${FOO}`,
    ]);
    at.answers(FOO);
    expect(at.released).toEqual([first]);
    expect(at.filter.fromConsumer(call(FOO))).toBe('pass');
    expect(at.activated).toEqual([]);
    expect(at.asked).toHaveLength(2);
  });

  it('has its owner started where nobody owns it, and goes on when somebody does, in its order', async () => {
    const calls = [call(FOO), call(FOO)];
    for (const one of calls) expect(at.filter.fromConsumer(one)).toBe('hold');
    at.answers();
    expect(at.activated).toEqual([FOO]);
    await at.runtime({ outcome: 'started' });
    calls.push(call(FOO));
    expect(at.filter.fromConsumer(calls[2] as Message)).toBe('hold');
    expect(at.released).toEqual([]);
    at.owner(FOO, ':1.9');
    expect(at.released).toEqual(calls);
    expect(at.activated).toEqual([FOO]);
    expect(at.done).toEqual([FOO]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(at.answered).toEqual([]);
  });

  it('need not wait for the runtime to say that it is done', () => {
    const one = call(FOO);
    at.filter.fromConsumer(one);
    at.answers();
    at.owner(FOO, ':1.9');
    expect(at.released).toEqual([one]);
  });

  it('has it started again after it left', async () => {
    at.filter.fromConsumer(call(FOO));
    at.answers(FOO);
    at.owner(FOO, '');
    expect(at.activated).toEqual([]);
    expect(at.filter.fromConsumer(call(FOO))).toBe('hold');
    expect(at.activated).toEqual([FOO]);
  });

  it('is told by an error why it was not started', async () => {
    const one = call(FOO);
    at.filter.fromConsumer(one);
    at.answers();
    await at.runtime({ outcome: 'refused', why: 'foo did not start.' });
    expect(at.answered).toEqual([[one, 'org.freedesktop.DBus.Error.Spawn.Failed']]);
    expect(at.filter.fromConsumer(call(FOO))).toBe('hold');
    expect(at.activated).toEqual([FOO, FOO]);
  });

  it('is told so after 20 s, and later news of that attempt mean nothing', async () => {
    const one = call(FOO);
    at.filter.fromConsumer(one);
    at.answers();
    await vi.advanceTimersByTimeAsync(19_999);
    expect(at.answered).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(at.answered).toEqual([[one, 'org.freedesktop.DBus.Error.TimedOut']]);
    expect(at.done).toEqual([FOO]);
    const two = call(FOO);
    at.filter.fromConsumer(two);
    await at.runtime({ outcome: 'refused', why: 'of the first attempt' });
    expect(at.answered).toHaveLength(1);
    at.owner(FOO, ':1.9');
    expect(at.released).toEqual([two]);
  });

  it('goes to the bus for its answer where the runtime knows no such name', async () => {
    const one = call(FOO);
    at.filter.fromConsumer(one);
    at.answers();
    await at.runtime({ outcome: 'unknown' });
    expect(at.released).toEqual([one]);
    expect(at.answered).toEqual([]);
  });

  it('that wants no answer gets none', async () => {
    const one = call(FOO, { flags: Flag.noReply });
    at.filter.fromConsumer(one);
    at.answers();
    await at.runtime({ outcome: 'refused', why: 'no' });
    expect(at.answered).toEqual([]);
    expect(at.released).toEqual([one]);
  });

  it('goes to the bus where that does not tell us what changes', () => {
    const one = call(FOO);
    at.filter.fromConsumer(one);
    at.refuses();
    expect(at.released).toEqual([one]);
    expect(at.filter.fromConsumer(call(FOO))).toBe('pass');
    at.answers();
    expect(at.activated).toEqual([]);
  });

  it('may be a call of StartServiceByName', () => {
    const start = (name: string) => call(BUS, { member: 'StartServiceByName' }, [name, 0]);
    expect(at.filter.fromConsumer(start(FOO))).toBe('hold');
    at.answers();
    expect(at.activated).toEqual([FOO]);
    at.owner(FOO, ':1.9');
    expect(at.replied).toEqual([1]);
    const { answer } = at.filter.fromConsumer(start(FOO)) as { answer: Buffer };
    expect(toMessage(answer).body?.uint32()).toBe(2);
    expect(at.filter.fromConsumer(start('org.example.Other'))).toBe('pass');
    expect(at.filter.fromConsumer(start(':1.1'))).toBe('pass');
    expect(at.filter.fromConsumer(start("x'"))).toBe('pass');
  });
});

describe('what goes on meanwhile', () => {
  beforeEach(() => {
    at.filter.fromConsumer(call(FOO));
    at.answers();
  });

  it.each([
    ['a call to another name', () => call('org.example.Other')],
    ['a call to a connection', () => call(':1.9')],
    ['a call to the bus', () => toMessage(busCall(7, 'GetNameOwner', [FOO]))],
    ['one that must start nothing', () => call(FOO, { flags: Flag.noAutoStart })],
    ['a signal to that name', () => toMessage(signalTo(FOO))],
    [
      'an answer',
      () => toMessage(writeMessage({ type: MessageType.reply, serial: 9, replySerial: 3 })),
    ],
  ])('is %s', (_, make) => {
    expect(at.filter.fromConsumer(make())).toBe('pass');
  });

  it('is a call to another name that is started, by itself', () => {
    const other = call(BAR);
    expect(at.filter.fromConsumer(other)).toBe('hold');
    at.answers(BAR);
    expect(at.released).toEqual([other]);
  });

  it('is everything from the bus', () => {
    const answer = writeMessage({
      type: MessageType.reply,
      serial: 9,
      replySerial: 3,
      sender: BUS,
    });
    expect(at.filter.fromBus(toMessage(answer))).toBe('pass');
  });
});

describe('news of who owns a name', () => {
  it('is only for a consumer that asked for signals', () => {
    at.filter.fromConsumer(call(FOO));
    expect(at.owner(FOO, ':1.9')).toBe('drop');
    expect(at.owner('org.example.Other', ':1.9')).toBe('pass');
    at.filter.fromConsumer(toMessage(busCall(7, 'AddMatch', ["type='signal'"])));
    expect(at.owner(FOO, ':1.10')).toBe('pass');
  });

  it('is believed of the bus alone', () => {
    at.filter.fromConsumer(call(FOO));
    at.answers();
    expect(at.owner(FOO, ':1.9', ':1.66')).toBe('pass');
    expect(at.released).toEqual([]);
  });
});

describe('bounds', () => {
  it('of calls that wait: more are refused at once, and what wants no answer is dropped', () => {
    const held = Array.from({ length: 64 }, () => call(FOO));
    for (const one of held) expect(at.filter.fromConsumer(one)).toBe('hold');
    at.answers();
    const refused = at.filter.fromConsumer(call(FOO));
    expect(refused).toMatchObject({ answer: expect.any(Buffer) });
    const { answer } = refused as { answer: Buffer };
    expect(toMessage(answer).header.errorName).toBe(LIMITS_EXCEEDED);
    expect(at.filter.fromConsumer(call(FOO, { flags: Flag.noReply }))).toBe('drop');
    at.owner(FOO, ':1.9');
    expect(at.released).toEqual(held);
  });

  it('of calls that wait, not of those of which it is not known yet whether they have to', () => {
    const calls = Array.from({ length: 200 }, () => call(FOO));
    for (const one of calls) expect(at.filter.fromConsumer(one)).toBe('hold');
    at.answers(FOO);
    expect(at.released).toEqual(calls);
  });

  it('of those that then have to: the last are refused, in their order', () => {
    const calls = Array.from({ length: 66 }, () => call(FOO));
    for (const one of calls) expect(at.filter.fromConsumer(one)).toBe('hold');
    at.answers();
    expect(at.answered).toEqual(calls.slice(64).map((one) => [one, LIMITS_EXCEEDED]));
    at.owner(FOO, ':1.9');
    expect(at.released).toEqual(calls.slice(0, 64));
  });

  it('of their bytes', () => {
    const long = () => call(FOO, {}, ['x'.repeat(200_000)]);
    expect(at.filter.fromConsumer(call(FOO))).toBe('hold');
    at.answers();
    expect(at.filter.fromConsumer(long())).toBe('hold');
    expect(at.filter.fromConsumer(long())).toBe('hold');
    expect(at.filter.fromConsumer(long())).toMatchObject({ answer: expect.any(Buffer) });
    expect(at.filter.fromConsumer(call(FOO))).toBe('hold');
  });

  it('of names, where the runtime has not said which: the oldest is forgotten', () => {
    at.names = undefined;
    for (let n = 0; n < 128; n++) {
      at.filter.fromConsumer(call(`a.b${n}`));
      at.answers(`a.b${n}`);
    }
    expect(at.filter.fromConsumer(call('a.c'))).toBe('hold');
    expect(at.asked.filter((text) => text.startsWith('RemoveMatch'))).toEqual([
      `RemoveMatch type='signal',sender='${BUS}',interface='${BUS}',member='NameOwnerChanged',arg0='a.b0'`,
    ]);
  });

  it('of names that all wait: the next one is left to the bus', () => {
    at.names = undefined;
    for (let n = 0; n < 64; n++) at.filter.fromConsumer(call(`a.b${n}`));
    for (let n = 64; n < 128; n++) at.filter.fromConsumer(call(`a.b${n}`));
    expect(at.filter.fromConsumer(call('a.c'))).toBe('pass');
  });

  it('of a message that is too long to be kept: where nothing is known yet it goes on', () => {
    const long = () => call(FOO, {}, ['x'.repeat(100)], false);
    expect(at.filter.fromConsumer(long())).toBe('pass');
    at.answers();
    expect(at.filter.fromConsumer(long())).toBe('hold'); // which the session refuses to do
  });
});

it('names that are declared later start from then on', () => {
  at.names = [];
  expect(at.filter.fromConsumer(call(FOO))).toBe('pass');
  at.names = [FOO];
  expect(at.filter.fromConsumer(call(FOO))).toBe('hold');
});

it('the end of the connection is the end of its timers, and lets the name be asked for anew', async () => {
  at.filter.fromConsumer(call(FOO));
  at.answers();
  at.filter.ended?.();
  expect(at.done).toEqual([FOO]);
  expect(vi.getTimerCount()).toBe(0);
  await at.runtime({ outcome: 'refused', why: 'too late' });
  expect(at.answered).toEqual([]);
});

it('only a link that may start something is looked into', () => {
  expect([undefined, [], [FOO]].map(mayActivate)).toEqual([true, false, true]);
});

function signalTo(destination: string): Buffer {
  const fields = { path: '/', interface: 'a.b', member: 'C', destination };
  return writeMessage({ ...fields, type: MessageType.signal, serial: 7 });
}
