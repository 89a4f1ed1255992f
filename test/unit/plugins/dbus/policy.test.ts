import { describe, expect, test } from 'vitest';
import type { PolicyRules } from '../../../../src/graph/link.js';
import type { Header } from '../../../../src/plugins/dbus/header.js';
import { Level, mayHear, maySend, Policy } from '../../../../src/plugins/dbus/policy.js';
import { fc, property } from '../../../support/property.js';
import { BUS_NAME, OBJECT, POLICY_RULES } from './policy-rules.js';

const call = (fields: Partial<Header>) =>
  ({ interface: 'a.b', member: 'C', path: '/d', ...fields }) as Header;

describe('a policy', () => {
  test('gives each right with those before it', () => {
    const policy = new Policy({ see: ['a.see'], talk: ['a.talk'], own: ['a.own'] });
    expect(policy.towards('a.see').level).toBe(Level.see);
    expect(policy.towards('a.talk').level).toBe(Level.talk);
    expect(policy.towards('a.own').level).toBe(Level.own);
    expect(policy.towards('a.other').level).toBe(Level.none);
    expect(maySend(policy.towards('a.see'), call({}))).toBe(false);
    expect(maySend(policy.towards('a.talk'), call({}))).toBe(true);
    expect(mayHear(policy.towards('a.own'), call({}))).toBe(true);
  });

  test.each([
    ['org.example.*', 'org.example', true],
    ['org.example.*', 'org.example.a', true],
    ['org.example.*', 'org.example.a.b.c', true],
    ['org.example.*', 'org.examples', false],
    ['org.example.*', 'org', false],
    ['org.example', 'org.example.a', false],
    ['*', 'org.example', true],
  ])('that says %s speaks of %s: %s', (pattern, name, speaks) => {
    expect(new Policy({ talk: [pattern] }).towards(name).level).toBe(speaks ? Level.talk : 0);
  });

  test.each([
    ['a.b.C', {}, true],
    ['a.b.C', { member: 'D' }, false],
    ['a.b.C', { interface: 'a.c' }, false],
    ['a.b.C', { interface: undefined }, false],
    ['a.b.*', { member: 'D' }, true],
    ['a.b.*', { interface: 'a.b.c' }, false],
    ['*', { interface: undefined }, true],
    ['@/d', { interface: undefined }, true],
    ['@/d', { path: '/d/e' }, false],
    ['*@/d', { path: '/dd' }, false],
    ['a.b.C@/d/*', {}, true],
    ['a.b.C@/d/*', { path: '/d/e/f' }, true],
    ['a.b.C@/d/*', { path: '/dd' }, false],
    ['a.b.C@/*', { path: '/' }, true],
    ['a.b.C@/', { path: '/' }, true],
    ['a.b.C@/', {}, false],
  ])('with the rule %s lets %j pass: %s', (rule, fields, passes) => {
    const policy = new Policy({ call: { x: [rule] }, broadcast: { y: [rule] } });
    expect(maySend(policy.towards('x'), call(fields))).toBe(passes);
    expect(mayHear(policy.towards('x'), call(fields))).toBe(false);
    expect(mayHear(policy.towards('y'), call(fields))).toBe(passes);
    expect(maySend(policy.towards('y'), call(fields))).toBe(false);
    expect(policy.towards('x').level).toBe(Level.see);
  });

  test('adds up what several rules give', () => {
    const policy = new Policy({
      see: ['org.*'],
      talk: ['org.a'],
      call: { 'org.b': ['a.b.C'], 'org.b.*': ['a.b.D'], '*': ['a.b.E'] },
    });
    const members = (name: string) =>
      ['C', 'D', 'E', 'F'].filter((member) => maySend(policy.towards(name), call({ member })));
    expect(members('org.b')).toEqual(['C', 'D', 'E']);
    expect(members('org.b.c')).toEqual(['D', 'E']);
    expect(members('org.a')).toEqual(['C', 'D', 'E', 'F']);
    expect(members('com.x')).toEqual(['E']);
    expect(policy.everybody.level).toBe(Level.see);
  });
});

/** The same model once more, the slow and plain way. */
function plainly(rules: PolicyRules, name: string, header: Header) {
  const speaksOf = (pattern: string) => {
    if (pattern === '*' || pattern === name) return true;
    return pattern.endsWith('.*') && `${name}.`.startsWith(pattern.slice(0, -1));
  };
  const lists = (list: readonly string[] = []) => list.some(speaksOf);
  const fits = (rule: string) => {
    const [, method = '', path] = /^([^@]*)(?:@(.*))?$/.exec(rule) as unknown as string[];
    const whole = `${header.interface}.${header.member}`;
    const isMethod =
      method === '' ||
      method === '*' ||
      method === whole ||
      (method.endsWith('.*') && method.slice(0, -2) === header.interface);
    const at = String(header.path);
    const isPath =
      path === undefined ||
      path === '/*' ||
      path === at ||
      (path.endsWith('/*') && `${at}/`.startsWith(path.slice(0, -1)));
    return isMethod && isPath;
  };
  const rulesFor = (byName: PolicyRules['call'] = {}) =>
    Object.entries(byName).filter(([pattern]) => speaksOf(pattern));
  const some = (byName: PolicyRules['call']) => rulesFor(byName).some(([, all]) => all.some(fits));
  const talks = lists(rules.talk) || lists(rules.own);
  const sees =
    talks ||
    lists(rules.see) ||
    rulesFor(rules.call).length > 0 ||
    rulesFor(rules.broadcast).length > 0;
  return {
    owns: lists(rules.own),
    sees,
    sends: talks || some(rules.call),
    hears: talks || some(rules.broadcast),
  };
}

property('a policy means what its model says, whatever its rules', async (holds) => {
  const header = fc.record({
    interface: fc.option(BUS_NAME, { nil: undefined }),
    member: fc.constantFrom('M', 'N'),
    path: OBJECT,
  });
  await holds(
    fc.property(POLICY_RULES, BUS_NAME, header, (all, towards, fields) => {
      const grant = new Policy(all).towards(towards);
      const said = fields as Header;
      expect({
        owns: grant.level >= Level.own,
        sees: grant.level >= Level.see,
        sends: maySend(grant, said),
        hears: mayHear(grant, said),
      }).toEqual(plainly(all, towards, said));
    }),
    { runs: 2_000 },
  );
});
