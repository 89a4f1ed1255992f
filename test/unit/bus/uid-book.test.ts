/** Role uids: given once, kept for good, and never given to two roles, whatever happens to their file. */
import { describe, expect, it } from 'vitest';
import { UidBook } from '../../../src/bus/uid-book.js';
import { isName } from '../../../src/manifest/text.js';
import { fc, property } from '../../support/property.js';

const RANGE = { first: 200_000, last: 200_099 };

function bookOf(roles: readonly string[], ...texts: string[]): UidBook {
  const book = new UidBook(RANGE, texts);
  book.assign(roles);
  return book;
}

const entries = (book: UidBook) => [...book.uids];

describe('a book of role uids', () => {
  it('gives one after the other, in the order in which it is asked', () => {
    const book = new UidBook(RANGE);
    expect(book.assign(['operator', 'any', 'operator'])).toEqual([200_000, 200_001]);
    expect(book.assign(['any', 'monitor'])).toEqual([200_002]);
    expect(entries(book)).toEqual([
      ['operator', 200_000],
      ['any', 200_001],
      ['monitor', 200_002],
    ]);
  });

  it('is the same after it was written and read', () => {
    const text = bookOf(['operator', '__proto__', 'next', 'ro"le', 'rôle\\']).toString();
    const again = new UidBook(RANGE, [text]);
    expect(again.faults).toEqual([]);
    expect(again.toString()).toBe(text);
  });

  it('keeps the uid of a role that nobody has any more', () => {
    const text = bookOf(['gone', 'here']).toString();
    const later = bookOf(['new', 'here', 'gone'], text);
    expect(entries(later)).toEqual([
      ['gone', 200_000],
      ['here', 200_001],
      ['new', 200_002],
    ]);
  });

  it('gives none beyond its range', () => {
    const roles = Array.from({ length: 150 }, (_, at) => `role-${at}`);
    const book = bookOf(roles);
    expect(book.uids.size).toBe(100);
    expect(book.assign(['one more'])).toEqual([]);
    expect(bookOf(['one more'], book.toString()).uids.has('one more')).toBe(false);
  });

  it('gives no uid again that a role lost with its line', () => {
    const text = bookOf(['a', 'b', 'c']).toString();
    const without = text.replace(/,\n {4}"c": \d+/, '');
    expect(without).not.toBe(text);
    expect(bookOf(['d'], without).uids.get('d')).toBe(200_003);
  });

  it.each([
    [
      'cut off in the middle of a number',
      (text: string) => text.slice(0, text.indexOf('200001') + 3),
    ],
    ['cut off before its end', (text: string) => text.slice(0, -4)],
    ['with garbage in its last line', (text: string) => text.replace('"b": 200001', '"b\0\xff: 2')],
  ])('that is %s keeps every whole line, and gives what is lost to nobody', (_, damage) => {
    const text = damage(bookOf(['a', 'b']).toString());
    const book = bookOf(['c'], text);
    expect(book.faults).not.toEqual([]);
    expect(book.uids.get('a')).toBe(200_000);
    expect([200_001, undefined]).toContain(book.uids.get('b'));
    expect(book.uids.get('c')).toBe(200_002);
  });

  it('takes what its own file lost from the one before it', () => {
    const old = bookOf(['a', 'b']).toString();
    expect(bookOf(['c'], '\0\0\0\0', old).uids).toEqual(
      new Map([
        ['a', 200_000],
        ['b', 200_001],
        ['c', 200_002],
      ]),
    );
  });

  it.each([
    ['no uid', 'x'],
    ['a uid outside its range', 0],
    ['the uid of root', 199_999],
    ['a fraction', 200_000.5],
  ])('gives a role with %s another one', (_, uid) => {
    const text = JSON.stringify({
      '#spec': 'pv-xconnect-role-uids@1',
      next: 200_005,
      roles: { a: uid },
    });
    const book = bookOf(['a'], text);
    expect(book.faults).toHaveLength(1);
    expect(book.uids.get('a')).toBe(200_005);
  });

  it('leaves a uid that two roles have to the first of them', () => {
    const roles = { a: 200_000, b: 200_000 };
    const text = JSON.stringify({ '#spec': 'pv-xconnect-role-uids@1', next: 200_001, roles });
    const book = bookOf(['b'], text);
    expect(entries(book)).toEqual([
      ['a', 200_000],
      ['b', 200_001],
    ]);
    expect(book.faults).toHaveLength(1);
  });

  it('takes JSON of another kind for none', () => {
    for (const text of ['null', '[]', '7', '{"roles":{"a":200000}}', '{"#spec":"x","roles":{}}']) {
      expect(bookOf(['a'], text).uids).toEqual(new Map([['a', 200_000]]));
    }
  });

  property(
    'never gives a uid twice, and never changes one, whatever its files hold',
    async (holds) => {
      const name = fc.oneof(fc.constantFrom('a', 'b', 'any', '__proto__', 'next'), fc.string());
      const role = name.filter(isName);
      const uid = fc.oneof(fc.integer({ min: 199_990, max: 200_120 }), fc.anything());
      const json = fc
        .record({ next: uid, roles: fc.dictionary(name, uid) })
        .map((value) => JSON.stringify({ '#spec': 'pv-xconnect-role-uids@1', ...value }, null, 2));
      const written = fc.array(role).map((roles) => bookOf(roles).toString());
      const damaged = fc
        .tuple(written, fc.nat(400), fc.nat(40), fc.string())
        .map(([text, at, length, put]) => text.slice(0, at) + put + text.slice(at + length));
      const text = fc.oneof(json, written, damaged, fc.string());
      await holds(
        fc.property(fc.array(text, { maxLength: 2 }), fc.array(role), (texts, roles) => {
          const book = new UidBook(RANGE, texts);
          const before = new Map(book.uids);
          const given = book.assign(roles);
          const uids = [...book.uids.values()];
          expect(new Set(uids).size).toBe(uids.length);
          expect(uids.every((one) => one >= RANGE.first && one <= RANGE.last)).toBe(true);
          for (const [role, one] of before) expect(book.uids.get(role)).toBe(one);
          for (const one of given) expect([...before.values()]).not.toContain(one);
          const again = new UidBook(RANGE, [book.toString()]);
          expect(again.uids).toEqual(book.uids);
          expect(again.faults).toEqual([]);
        }),
      );
    },
  );
});
