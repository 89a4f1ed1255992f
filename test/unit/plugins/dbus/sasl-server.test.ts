import { describe, expect, test } from 'vitest';
import { SaslServer } from '../../../../src/plugins/dbus/sasl-server.js';
import { fc, property } from '../../../support/property.js';
import { cuts, everyCut } from './splits.js';

const GUID = '0123456789abcdef0123456789abcdef';
const OK = `OK ${GUID}`;
const REJECTED = 'REJECTED EXTERNAL';

interface Talk {
  /** Lines that the client reads; what was asked of the bus stands between them in brackets. */
  readonly said: string[];
  readonly end: string;
  /** What was left unread, as a kernel has it: behind the BEGIN. */
  readonly unread: string;
}

/** A conversation whose client sends `pieces`, of which no read takes more than it is allowed. */
function converse(pieces: readonly Buffer[], { accepts = true, fds = true } = {}): Talk {
  const server = new SaslServer();
  const said: string[] = [];
  const queue = pieces.map((piece) => piece);
  const line = (bytes: Buffer) => said.push(bytes.toString().replace(/\r\n$/, ''));
  for (;;) {
    const step = server.next();
    const rest = () => Buffer.concat(queue).toString('latin1');
    if (step.do === 'begin') return { said, end: 'begin', unread: rest() };
    if (step.do === 'end') return { said, end: step.reason, unread: rest() };
    if (step.do === 'send') line(step.bytes);
    else if (step.do === 'authenticate') {
      said.push('[identity]');
      line(accepts ? server.accept(GUID) : server.reject());
    } else if (step.do === 'negotiate') {
      said.push('[fds]');
      line(server.agree(fds));
    } else {
      const piece = queue.shift();
      if (!piece) return { said, end: 'unfinished', unread: '' };
      expect(step.atMost).toBeGreaterThan(0);
      server.feed(piece.subarray(0, step.atMost));
      if (piece.length > step.atMost) queue.unshift(piece.subarray(step.atMost));
    }
  }
}

const lines = (...all: string[]) => Buffer.from(`\0${all.map((one) => `${one}\r\n`).join('')}`);
const talk = (...all: string[]) => converse([lines(...all)]);

describe('whichever way a client authenticates, the bus is asked for the one identity:', () => {
  test.each<[string, string[], string[]]>([
    ['identity given at once', ['AUTH EXTERNAL 30', 'BEGIN'], ['[identity]', OK]],
    ['identity of somebody else', ['AUTH EXTERNAL 313030', 'BEGIN'], ['[identity]', OK]],
    ['empty identity', ['AUTH EXTERNAL', 'DATA', 'BEGIN'], ['DATA', '[identity]', OK]],
    ['identity by DATA', ['AUTH EXTERNAL', 'DATA 30', 'BEGIN'], ['DATA', '[identity]', OK]],
    [
      'as GLib does',
      ['AUTH', 'AUTH EXTERNAL 30', 'NEGOTIATE_UNIX_FD', 'BEGIN'],
      [REJECTED, '[identity]', OK, '[fds]', 'AGREE_UNIX_FD'],
    ],
    [
      'as sd-bus does, all at once',
      ['AUTH EXTERNAL', 'DATA', 'NEGOTIATE_UNIX_FD', 'BEGIN'],
      ['DATA', '[identity]', OK, '[fds]', 'AGREE_UNIX_FD'],
    ],
    [
      'other mechanisms first',
      ['AUTH DBUS_COOKIE_SHA1 30', 'AUTH ANONYMOUS', 'AUTH EXTERNAL 30', 'BEGIN'],
      [REJECTED, REJECTED, '[identity]', OK],
    ],
    [
      'CANCEL and another identity',
      ['AUTH EXTERNAL 30', 'CANCEL', 'AUTH EXTERNAL 31', 'BEGIN'],
      ['[identity]', OK, REJECTED, '[identity]', OK],
    ],
    [
      'CANCEL in the middle',
      ['AUTH EXTERNAL', 'CANCEL', 'AUTH EXTERNAL 30', 'BEGIN'],
      ['DATA', REJECTED, '[identity]', OK],
    ],
    [
      'ERROR after OK',
      ['AUTH EXTERNAL 30', 'ERROR "no"', 'AUTH EXTERNAL 30', 'BEGIN'],
      ['[identity]', OK, REJECTED, '[identity]', OK],
    ],
  ])('%s', (_title, sent, heard) => {
    expect(talk(...sent)).toEqual({ said: heard, end: 'begin', unread: '' });
  });
});

describe('what is refused, and the conversation goes on:', () => {
  const unexpected = 'ERROR The command is unknown, or not expected here.';
  test.each<[string, string[], string[]]>([
    ['a second AUTH after OK', ['AUTH EXTERNAL 30', 'AUTH EXTERNAL 30'], ['[identity]', OK]],
    ['DATA after OK', ['AUTH EXTERNAL 30', 'DATA 31'], ['[identity]', OK]],
    ['DATA without AUTH', ['DATA 30'], []],
    ['CANCEL without AUTH', ['CANCEL'], []],
    ['NEGOTIATE_UNIX_FD before OK', ['NEGOTIATE_UNIX_FD'], []],
    [
      'NEGOTIATE_UNIX_FD with more',
      ['AUTH EXTERNAL 30', 'NEGOTIATE_UNIX_FD x'],
      ['[identity]', OK],
    ],
    ['an empty line', [''], []],
    ['an unknown command', ['HELP'], []],
    ['a command in small letters', ['auth EXTERNAL 30'], []],
    ['BEGIN with more', ['AUTH EXTERNAL 30', 'BEGIN '], ['[identity]', OK]],
  ])('%s', (_title, sent, before) => {
    expect(talk(...sent)).toMatchObject({ said: [...before, unexpected], end: 'unfinished' });
  });

  test('data that is not hexadecimal', () => {
    expect(talk('AUTH EXTERNAL 3').said).toEqual(['ERROR The data is not hexadecimal.']);
    expect(talk('AUTH EXTERNAL root').said).toEqual(['ERROR The data is not hexadecimal.']);
    expect(talk('AUTH EXTERNAL 30 30').said).toEqual(['ERROR The data is not hexadecimal.']);
  });

  test.each(['AUTH EXTERNAL 30\r', 'AUTH\nEXTERNAL', 'AUTH\0', 'AUTH \u00e4', 'BEGIN\n'])(
    'bytes that are no text: %j',
    (line) => expect(talk(line).said).toEqual(['ERROR The command is not ASCII.']),
  );

  test('an identity that the bus does not let in', () => {
    const { said, end } = converse([lines('AUTH EXTERNAL 30', 'BEGIN')], { accepts: false });
    expect(said).toEqual(['[identity]', REJECTED]);
    expect(end).toBe('BEGIN came before OK.');
  });

  test('descriptors that the bus does not take', () => {
    const sent = lines('AUTH EXTERNAL 30', 'NEGOTIATE_UNIX_FD', 'BEGIN');
    const { said, end } = converse([sent], { fds: false });
    expect(said.at(-1)).toMatch(/^ERROR /);
    expect(end).toBe('begin');
  });
});

describe('what ends the conversation:', () => {
  test.each(['AUTH EXTERNAL 30\r\n', '\u0001AUTH EXTERNAL 30\r\n', '\r\n'])(
    'no NUL at the start: %j',
    (text) => {
      expect(converse([Buffer.from(text)]).end).toBe('The first byte was not NUL.');
    },
  );

  test('a second NUL is a byte of the first command, which is none then', () => {
    const { said } = converse([Buffer.from('\0\0AUTH EXTERNAL 30\r\n')]);
    expect(said).toEqual(['ERROR The command is not ASCII.']);
  });

  test.each([
    [['BEGIN']],
    [['AUTH EXTERNAL', 'BEGIN']],
    [['AUTH EXTERNAL 30', 'CANCEL', 'BEGIN']],
    [['AUTH ANONYMOUS', 'BEGIN']],
  ])('BEGIN before OK: %j', (sent) => expect(talk(...sent).end).toBe('BEGIN came before OK.'));

  test('a megabyte without a line end is read no further than a line may be', () => {
    const { end, unread } = converse([Buffer.concat([lines(), Buffer.alloc(1 << 20, 'A')])]);
    expect(end).toBe('A line was longer than 16384 bytes.');
    expect(unread.length).toBeGreaterThan((1 << 20) - 16 * 1024 - 64);
  });

  test('a line may have 16 KiB, and no byte more', () => {
    const line = (length: number) => `AUTH X${'0'.repeat(length - 6)}`;
    expect(talk(line(16_384)).said).toEqual([REJECTED]);
    expect(talk(line(16_385)).end).toBe('A line was longer than 16384 bytes.');
  });

  test('commands without end', () => {
    const { said, end } = talk(...Array.from({ length: 1_000 }, () => 'AUTH ANONYMOUS'));
    expect(said.length).toBe(32);
    expect(end).toBe('There was no end of commands.');
  });
});

const FULL = ['AUTH', 'AUTH EXTERNAL', 'DATA 30', 'NEGOTIATE_UNIX_FD', 'BEGIN'];
const AFTER = 'l\u0001\0\u0001BEGIN\r\n';

describe('however the bytes arrive:', () => {
  const whole = Buffer.concat([lines(...FULL), Buffer.from(AFTER, 'latin1')]);
  const expected = converse([whole]);

  test('what follows BEGIN is left where it is', () => {
    expect(expected).toMatchObject({ end: 'begin', unread: AFTER });
  });

  test('one byte at a time', () => {
    expect(converse([...whole].map((byte) => Buffer.from([byte])))).toEqual(expected);
  });

  test('cut in two at every place', () => {
    for (const pieces of everyCut(whole)) expect(converse(pieces)).toEqual(expected);
  });

  property(
    'any bytes, cut anyhow, are answered as in one piece, and nothing behind a BEGIN is read',
    async (holds) => {
      const command = fc.constantFrom(...FULL, 'CANCEL', 'ERROR', 'BEGIN ', 'AUTH ANONYMOUS', '\r');
      const noise = fc.string({ unit: 'binary-ascii', maxLength: 12 });
      const text = fc
        .array(fc.oneof({ weight: 4, arbitrary: command }, noise), { maxLength: 12 })
        .map((all) =>
          Buffer.from(`\0${all.map((one) => `${one}\r\n`).join('')}${AFTER}`, 'latin1'),
        );
      await holds(
        fc.property(text, cuts(), (bytes, cut) => {
          const one = converse([bytes]);
          expect(converse(cut(bytes))).toEqual(one);
          const rest = bytes.toString('latin1').slice(0, bytes.length - one.unread.length);
          if (one.end === 'begin') expect(rest.endsWith('\r\nBEGIN\r\n')).toBe(true);
        }),
        { runs: 200 },
      );
    },
  );
});
