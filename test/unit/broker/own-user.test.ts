import { describe, expect, test } from 'vitest';
import {
  idsOfTable,
  type KnownIds,
  OWN_BLOCK,
  parseMap,
  pickId,
  subordinateIds,
} from '../../../src/broker/own-user.js';

const ALL = [{ first: 0, last: 0xffff_fffe }];
const known = (fields: Partial<KnownIds> = {}): KnownIds => ({
  mapped: { users: ALL, groups: ALL },
  taken: [],
  ...fields,
});
const one = (id: number) => ({ first: id, last: id });

describe('the user of its own', () => {
  test('is any of a block that nobody hands out', () => {
    expect(pickId(known(), () => 0)).toBe(OWN_BLOCK.first);
    expect(pickId(known(), () => 0.999_999_9)).toBe(OWN_BLOCK.last);
  });

  test('is the next one where somebody has it, from the beginning again at the end', () => {
    const { first, last } = OWN_BLOCK;
    expect(pickId(known({ taken: [one(first), one(first + 1)] }), () => 0)).toBe(first + 2);
    expect(pickId(known({ taken: [one(last)] }), () => 0.999_999_9)).toBe(first);
  });

  test('in a user namespace is one of its own, of the upper ones, and of no service or nobody', () => {
    const mapped = [{ first: 0, last: 65_535 }];
    const inside = known({ mapped: { users: mapped, groups: mapped } });
    for (let i = 0; i < 100; i++) {
      const id = pickId(inside, () => i / 100) as number;
      expect(id > 57_000 && id < 65_534 && !(id >= 61_184 && id <= 65_519)).toBe(true);
    }
  });

  test('has a group of the same number', () => {
    const users = [{ first: 0, last: 2_000 }];
    const groups = [{ first: 0, last: 1_500 }];
    expect(pickId(known({ mapped: { users, groups } }), () => 0.99)).toBeLessThanOrEqual(1_500);
  });

  test('is none where all are taken, and never root', () => {
    const mapped = [{ first: 0, last: 3 }];
    const inside = { users: mapped, groups: mapped };
    expect(pickId(known({ mapped: inside, taken: [{ first: 1, last: 3 }] }), () => 0)).toBeNull();
    expect(pickId(known({ mapped: inside, taken: [one(1), one(2)] }), () => 0)).toBe(3);
  });

  test('keeps away from users, groups and what is below them, whatever the files hold', () => {
    expect(idsOfTable('root:x:0:0::/:/bin/sh\nx:x:7:8:::\n\n+::::::\nbad\nb:x:y:1\n')).toEqual([
      one(0),
      one(7),
    ]);
    expect(idsOfTable('wheel:x:10:root\nempty:x::\n')).toEqual([one(10)]);
    expect(subordinateIds('user:100000:65536\nbad\nx:y:z\nn:5:0\n')).toEqual([
      { first: 100_000, last: 165_535 },
    ]);
  });

  test('reads maps of user namespaces from either side', () => {
    const map = '         0       1000          1\n         1     100000      65536\n';
    expect(parseMap(map, 'inside')).toEqual([one(0), { first: 1, last: 65_536 }]);
    expect(parseMap(map, 'outside')).toEqual([one(1000), { first: 100_000, last: 165_535 }]);
    expect(parseMap('', 'inside')).toEqual([]);
  });
});
