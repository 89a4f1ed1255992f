import { describe, expect, test } from 'vitest';
import { MessageReader } from '../../../../src/plugins/dbus/message-reader.js';
import { fc, property } from '../../../support/property.js';
import { CALL, encode, REPLY_SERIAL, text } from './encoder.js';
import { cuts, everyCut } from './splits.js';

const LONGEST = 256;

/** All that a reader makes of the pieces, as text that two readings can be compared by. */
function reading(pieces: readonly Buffer[], isWanted = true) {
  const seen = { messages: [] as string[], passed: '', fault: null as string | null };
  const reader = new MessageReader(
    {
      onMessage: ({ header, chunk, start, end }) => {
        seen.messages.push(JSON.stringify(header));
        if (isWanted) seen.passed += chunk.toString('latin1', start, end);
        return isWanted;
      },
      onMore: (chunk, start, end) => {
        seen.passed += chunk.toString('latin1', start, end);
      },
    },
    { longest: LONGEST, fds: false },
  );
  for (const piece of pieces) {
    if (seen.fault === null && piece.length > 0) seen.fault = reader.feed(piece, []);
  }
  return seen;
}

const SHORT = encode({ serial: 3, fields: [...CALL, [8, 'g', 's']], body: text('hello') });
const LONG = encode({ serial: 4, fields: [...CALL, [8, 'g', 's']], body: text('x'.repeat(700)) });
const REPLY = encode({ little: false, type: 2, fields: [REPLY_SERIAL] });
const ALL = Buffer.concat([SHORT, LONG, REPLY, SHORT]);

describe('messages', () => {
  test('are the same however their bytes come', () => {
    const whole = reading([ALL]);
    expect(whole.messages).toHaveLength(4);
    expect(whole.passed).toBe(ALL.toString('latin1'));
    expect(whole.fault).toBeNull();
    for (const pieces of everyCut(ALL)) expect(reading(pieces)).toEqual(whole);
    const single = Array.from(ALL, (byte) => Buffer.from([byte]));
    expect(reading(single)).toEqual(whole);
  });

  test('that are not wanted are left out to their last byte, however long', () => {
    for (const pieces of everyCut(ALL)) {
      expect(reading(pieces, false)).toMatchObject({ passed: '', fault: null });
      expect(reading(pieces, false).messages).toHaveLength(4);
    }
  });

  test('end with one whose header is longer than is put together', () => {
    const long = encode({ fields: [...CALL, [8, 'g', ''], [200, 's', 'x'.repeat(LONGEST)]] });
    for (const pieces of everyCut(long)) {
      expect(reading(pieces).fault).toBe('A header was longer than 256 bytes.');
    }
  });

  property('broken or not are the same in any pieces', async (holds) => {
    const change = fc.tuple(fc.nat(ALL.length - 1), fc.nat(255));
    await holds(
      fc.property(fc.array(change, { maxLength: 4 }), cuts(), cuts(), (changes, one, other) => {
        const bytes = Buffer.from(ALL);
        for (const [at, value] of changes) bytes[at] = value;
        const first = reading(one(bytes));
        expect(reading(other(bytes))).toEqual(first);
        expect(ALL.length).toBeGreaterThanOrEqual(first.passed.length);
        if (first.fault === null) {
          expect(bytes.toString('latin1').startsWith(first.passed)).toBe(true);
        }
      }),
      { runs: 1_000 },
    );
  });

  property('are read of any bytes at all without harm', async (holds) => {
    const start = fc.constantFrom(Buffer.from('l\x01\0\x01'), Buffer.from('B\x02\0\x01'));
    await holds(
      fc.property(start, fc.uint8Array({ maxLength: 400 }), cuts(), (head, rest, cut) => {
        const bytes = Buffer.concat([head, rest]);
        expect(reading(cut(bytes)).passed.length).toBeLessThanOrEqual(bytes.length);
      }),
      { runs: 1_000 },
    );
  });
});
