/** Tables that fit a terminal. */
import { describe, expect, test } from 'vitest';
import { lineWidth } from '../../../src/cli/output.js';
import { table } from '../../../src/cli/table.js';
import { fc, property } from '../../support/property.js';

const HEAD = ['name', 'what'];

describe('a table', () => {
  test('has room for everything where nobody says how wide a line is', () => {
    const long = 'x'.repeat(500);
    expect(table(HEAD, [['a', long]])).toBe(`NAME  WHAT\na     ${long}\n`);
  });

  test('leaves out the end of its widest cells where they do not fit', () => {
    const rows = [
      ['short', 'a sentence that is longer than what fits'],
      ['also-short', ''],
    ];
    expect(table(HEAD, rows, 30)).toBe(
      `NAME        WHAT
short       a sentence that i…
also-short  -
`,
    );
  });

  property('fits wherever its cells can be cut so far, and keeps what fits', async (holds) => {
    const cell = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 60 });
    await holds(
      fc.property(
        fc.array(fc.tuple(cell, cell), { maxLength: 5 }),
        fc.integer({ min: 18 }),
        (rows, most) => {
          for (const line of table(HEAD, rows, most).split('\n')) {
            expect([...line].length).toBeLessThanOrEqual(most);
          }
          const wide = table(HEAD, rows);
          const widest = Math.max(...wide.split('\n').map((line) => line.length));
          if (widest < most - 60) expect(table(HEAD, rows, most)).toBe(wide);
        },
      ),
    );
  });
});

test('only a terminal has a width', () => {
  const of = (isTTY: boolean, columns?: number) =>
    lineWidth({ isTTY, ...(columns !== undefined && { columns }) });
  expect([of(true, 80), of(false, 80), of(true), of(true, 0)]).toEqual([
    80,
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  ]);
});
