/** Which names a consumer is told that it may have started. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { BodyValue } from '../../../../src/plugins/dbus/body.js';
import { MessageType } from '../../../../src/plugins/dbus/header.js';
import type { Message } from '../../../../src/plugins/dbus/message.js';
import { BUS, writeMessage } from '../../../../src/plugins/dbus/message-writer.js';
import { BAR, call, FOO, Stand, toMessage } from './activation-stand.js';

let at: Stand;
beforeEach(() => {
  at = new Stand();
});

describe('the answer to ListActivatableNames', () => {
  const ask = () => call(BUS, { member: 'ListActivatableNames', interface: BUS });
  const answerTo = ({ header }: Message, values: BodyValue[], sender = BUS) => {
    const fields = { type: MessageType.reply, serial: 9, replySerial: header.serial, sender };
    return at.filter.fromBus(toMessage(writeMessage(fields, values)));
  };
  const listed = (verdict: ReturnType<typeof answerTo>) => {
    if (typeof verdict !== 'object' || !('replace' in verdict)) return verdict;
    const { header, body } = toMessage(verdict.replace);
    return [header.replySerial, body?.strings()];
  };

  it('has the names that may be started beside those that the bus knows', () => {
    const question = ask();
    expect(at.filter.fromConsumer(question)).toBe('pass');
    expect(listed(answerTo(question, [[BUS, BAR]]))).toEqual([
      question.header.serial,
      [BUS, BAR, FOO],
    ]);
    expect(answerTo(question, [[BUS]])).toBe('pass'); // it is answered
  });

  it('is the bus’s own where nobody knows the names, and where it is no list', () => {
    const questions = [ask(), ask()] as const;
    for (const question of questions) at.filter.fromConsumer(question);
    expect(answerTo(questions[0], ['none'])).toBe('pass');
    at.names = undefined;
    expect(listed(answerTo(questions[1], [[BUS]]))).toEqual([questions[1].header.serial, [BUS]]);
  });

  it('is of the bus alone, and of that question', () => {
    const question = ask();
    at.filter.fromConsumer(question);
    expect(answerTo(question, [[BUS]], ':1.9')).toBe('pass');
    const other = call(BUS, { member: 'ListNames', interface: BUS });
    at.filter.fromConsumer(other);
    expect(answerTo(other, [[BUS]])).toBe('pass');
  });

  it('is left alone where another filter decides what may be seen', () => {
    at = new Stand({ isAlone: false });
    const question = ask();
    at.filter.fromConsumer(question);
    expect(answerTo(question, [[BUS]])).toBe('pass');
  });

  it('costs little of whoever asks and is never answered', () => {
    for (let n = 0; n < 64; n++) at.filter.fromConsumer(ask());
    const question = ask();
    expect(at.filter.fromConsumer(question)).toBe('pass');
    expect(answerTo(question, [[BUS]])).toBe('pass');
  });
});
