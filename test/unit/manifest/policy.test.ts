/** The grammar of a policy's rules, and what one role may do. */
import { expect, test } from 'vitest';
import { isMemberRule, isNamePattern, rulesOf } from '../../../src/manifest/policy.js';

test.each([
  ['org.example.Foo', true],
  ['org.example.*', true],
  ['org.*', true],
  ['*', true],
  ['org', false],
  ['*.example', false],
  ['org.exa*', false],
  ['.org.example', false],
  [':1.5', false],
  ['', false],
])('%j is a name of a rule: %s', (text, is) => {
  expect(isNamePattern(text)).toBe(is);
});

test.each([
  ['a.b.C', true],
  ['a.b.*', true],
  ['*', true],
  ['*@/', true],
  ['@/a/b', true],
  ['a.b.C@/a/*', true],
  ['a.b.C@/*', true],
  ['C', false],
  ['a.*.C', false],
  ['a.b.C@', false],
  ['a.b.C@a', false],
  ['a.b.C@/a/', false],
  ['a.b.C@/a//b', false],
  ['a.b.C@/a@/b', false],
  ['a.b.C@/a*', false],
  ['', false],
  [`a.b.C@/${'x'.repeat(2_000)}`, false],
])('%j is a rule for a method or signal: %s', (text, is) => {
  expect(isMemberRule(text)).toBe(is);
});

test('a role has its own rules and those of every role, and nothing where there are none', () => {
  const policy = new Map([
    ['operator', { see: ['a.b'], call: { 'a.b': ['a.b.C'] } }],
    ['*', { see: ['a.c'], call: { 'a.b': ['a.b.D'] } }],
  ]);
  expect(rulesOf('operator', policy)).toEqual({
    see: ['a.b', 'a.c'],
    talk: [],
    own: [],
    call: { 'a.b': ['a.b.C', 'a.b.D'] },
    broadcast: {},
  });
  expect(rulesOf('guest', policy)).toEqual({ see: ['a.c'], call: { 'a.b': ['a.b.D'] } });
  policy.delete('*');
  expect(rulesOf('guest', policy)).toEqual({});
});
