import { describe, expect, test } from 'vitest';
import { smallestPolicy } from '../../../src/cli/smallest-policy.js';
import type { Right, Use } from '../../../src/graph/use.js';

const use = (right: Right, name: string, rule?: string): Use => ({
  ...{ right, name, names: [name], what: `${right} ${name}` },
  ...(rule === undefined ? {} : { rule }),
});
const policy = (...uses: Use[]) => smallestPolicy(uses).policy;

describe('the smallest policy', () => {
  test('has a rule for each thing that was done, and no right that goes with another one', () => {
    expect(
      policy(
        ...[
          use('see', 'a.see'),
          use('see', 'a.call'),
          use('talk', 'a.call'),
          use('talk', 'a.talk'),
        ],
        ...[use('call', 'a.call', 'a.b.C@/x'), use('call', 'a.call', 'a.b.C@/x')],
        ...[use('broadcast', 'a.call', 'a.b.S@/x'), use('call', 'a.own', 'a.b.C@/x')],
        use('own', 'a.own'),
      ),
    ).toEqual({
      see: ['a.see'],
      talk: ['a.talk'],
      own: ['a.own'],
      call: { 'a.call': ['a.b.C@/x'] },
      broadcast: { 'a.call': ['a.b.S@/x'] },
    });
  });

  test('is empty where nothing was done', () => {
    expect(policy()).toEqual({});
  });

  test('speaks of one name of those that an owner has, the one that is there already', () => {
    const both = { ...use('call', ':1.5', 'a.b.C@/'), names: ['a.one', 'a.two'] };
    expect(policy(both)).toEqual({ call: { 'a.one': ['a.b.C@/'] } });
    expect(policy(use('see', 'a.two'), both)).toEqual({ call: { 'a.two': ['a.b.C@/'] } });
  });

  test('goes below a common object once there are many of a kind', () => {
    const calls = (...paths: string[]) => paths.map((path) => use('call', 'a.b', `a.b.C@${path}`));
    expect(policy(...calls('/a/1', '/a/2', '/a/3'))).toEqual({
      call: { 'a.b': ['a.b.C@/a/1', 'a.b.C@/a/2', 'a.b.C@/a/3'] },
    });
    expect(policy(...calls('/a/1', '/a/2', '/a/3', '/a/4/b'))).toEqual({
      call: { 'a.b': ['a.b.C@/a/*'] },
    });
    expect(policy(...calls('/a', '/b', '/c', '/d'))).toEqual({ call: { 'a.b': ['a.b.C'] } });
    expect(policy(...calls('/a', '/a/b', '/a/c', '/a/d'))).toEqual({
      call: { 'a.b': ['a.b.C@/a/*'] },
    });
  });

  test('says what no rule covers', () => {
    const { uncovered } = smallestPolicy([{ ...use('call', ':1.5', 'a.b.C@/'), names: [] }]);
    expect(uncovered).toEqual(['call :1.5']);
  });
});
