import { describe, expect, test } from 'vitest';
import { journalText, lineText, linkText } from '../../../src/kernel/log-text.js';
import { fc, property } from '../../support/property.js';

const TIME = '2026-11-29T10:00:00.123Z';
const json = (fields: object) =>
  `${JSON.stringify({ level: 30, time: TIME, pid: 7, ...fields })}\n`;
const link = 'client-app|raw|%2Frun%2Fx.sock';

describe('a line of the log for people', () => {
  test.each([
    [{ msg: 'begins' }, 'INFO  begins'],
    [
      { msg: 'established', link, state: 'established' },
      'INFO  client-app → raw at /run/x.sock: established',
    ],
    [
      { level: 40, msg: 'kiosk is gone.', link, state: 'failed', code: 'container-gone' },
      'WARN  client-app → raw at /run/x.sock: failed: kiosk is gone. code=container-gone',
    ],
    [{ level: 50, msg: 'x', count: 3, list: ['a'] }, 'ERROR x count=3 list=["a"]'],
    [{ msg: 'x', word: 'a', words: 'a b="c"' }, 'INFO  x word=a words="a b=\\"c\\""'],
    [{ level: 20, msg: 'x', link: 'no link' }, 'DEBUG no link: x'],
    [{ level: 60 }, 'FATAL '],
  ])('%j', (fields, text) => {
    expect(lineText(json(fields))).toBe(`${TIME} ${text}\n`);
  });

  test('has the stack of an error below it', () => {
    const err = { type: 'Error', message: 'x', stack: 'Error: x\n    at y' };
    expect(lineText(json({ level: 50, msg: 'a bug', err }))).toBe(
      `${TIME} ERROR a bug\n    Error: x\n        at y\n`,
    );
  });

  test('has colours where they are wanted, and nobody else can bring some', () => {
    expect(lineText(json({ level: 40, msg: 'x' }), { colours: true })).toBe(
      `${TIME} \u001b[33mWARN\u001b[39m  x\n`,
    );
    const name = 'a%1B%5B2J%0Ab|c|d';
    expect(lineText(json({ msg: '\u202ex', link: name, code: '\u001b[2J' }))).toBe(
      `${TIME} INFO  a\\u001b[2J\\u000ab → c at d: \\u202ex code=\\u001b[2J\n`,
    );
  });

  test('is what it was if it is no line of ours', () => {
    expect([lineText('text\n'), linkText('a|%zz|c'), linkText('a')]).toEqual([
      'text\n',
      'a|%zz|c',
      'a',
    ]);
  });

  property('is one line, whatever is in it', async (holds) => {
    const text = fc.string({ unit: 'binary' });
    await holds(
      fc.property(text, text, (msg, id) => {
        const line = lineText(json({ msg, link: id, x: id }));
        expect(line.trimEnd().split(/[\n\u2028\u2029]/)).toHaveLength(1);
      }),
    );
  });
});

describe('a line of the log for a journal', () => {
  test('has its priority, and no time', () => {
    const levels = [20, 30, 40, 50, 60].map((level) => journalText(json({ level, msg: 'x' })));
    expect(levels).toEqual(['<7>x\n', '<6>x\n', '<4>x\n', '<3>x\n', '<2>x\n']);
    expect(journalText('text\n')).toBe('<6>text\n');
  });

  test('has it on each of several', () => {
    const err = { stack: 'Error: x\n at y' };
    expect(journalText(json({ level: 50, msg: 'a bug', err }))).toBe(
      '<3>a bug\n<3>    Error: x\n<3>     at y\n',
    );
  });
});
