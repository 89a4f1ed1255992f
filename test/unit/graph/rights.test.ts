/** What one value lets somebody do that another does not: by meaning, held against what enforces it. */
import { describe, expect, it, test } from 'vitest';
import type { PolicyRules } from '../../../src/graph/link.js';
import { byIdentity, byOrder, COMPARE } from '../../../src/graph/rights.js';
import { type HttpRule, isAllowed, parseRule } from '../../../src/kernel/http-rule.js';
import type { Header } from '../../../src/plugins/dbus/header.js';
import { mayHear, maySend, Policy } from '../../../src/plugins/dbus/policy.js';
import { fc, property } from '../../support/property.js';
import { POLICY_RULES } from '../plugins/dbus/policy-rules.js';

const NONE = { gained: [], lost: [] };

describe('policies', () => {
  const { policy } = COMPARE;

  test.each<[string, PolicyRules | undefined, PolicyRules | undefined, string[], string[]]>([
    ['an order', { talk: ['a.b', 'c.d'] }, { talk: ['c.d', 'a.b'] }, [], []],
    ['a wider name', { talk: ['a.b'] }, { talk: ['a.b.*'] }, ['talk to a.b.*'], []],
    ['a name within another', { talk: ['a.*'] }, { talk: ['a.*', 'a.b'] }, [], []],
    [
      'see that call implies',
      { call: { 'a.b': ['@/x'] } },
      { see: ['a.b'], call: { 'a.b': ['@/x'] } },
      [],
      [],
    ],
    ['talk for own', { own: ['a.b'] }, { talk: ['a.b'] }, [], ['own a.b']],
    ['talk for calls', { call: { 'a.b': ['x.Y.Z'] } }, { talk: ['a.b'] }, ['talk to a.b'], []],
    [
      'a wider method',
      { call: { 'a.b': ['x.Y.Z'] } },
      { call: { 'a.b': ['x.Y.*'] } },
      ['call x.Y.* of a.b'],
      [],
    ],
    [
      'another object',
      { call: { 'a.b': ['@/x'] } },
      { call: { 'a.b': ['@/y'] } },
      ['call @/y of a.b'],
      ['call @/x of a.b'],
    ],
    [
      'objects below',
      { call: { 'a.b': ['@/x/*'] } },
      { call: { 'a.b': ['@/x', '@/x/y/*'] } },
      [],
      ['call @/x/* of a.b'],
    ],
    ['a signal', {}, { broadcast: { 'a.b': ['x.Y.Z'] } }, ['hear x.Y.Z of a.b'], []],
    ['a name that is only seen', {}, { call: { 'a.b': [] } }, ['see a.b'], []],
    ['no policy', { talk: ['a.b'] }, undefined, ['everything that the bus itself allows'], []],
    ['a first policy', undefined, {}, [], ['everything that the bus itself allows']],
  ])('%s', (_, before, after, gained, lost) => {
    expect(policy(before, after)).toEqual({ gained, lost });
  });

  /** Messages of which each is let pass by nothing narrower than the rule that it is made for. */
  function witnesses({ see = [], talk = [], own = [], call = {}, broadcast = {} }: PolicyRules) {
    const named = [...see, ...talk, ...own].map((name) => ({ name, rule: '*' }));
    const ruled = [...Object.entries(call), ...Object.entries(broadcast)].flatMap(([name, rules]) =>
      ['*', ...rules].map((rule) => ({ name, rule })),
    );
    return [...named, ...ruled].map(({ name, rule }) => {
      const [method = '', path = '/*'] = rule.split('@');
      const dot = method.lastIndexOf('.');
      const member = method.slice(dot + 1);
      const header = {
        interface: dot > 0 ? method.slice(0, dot) : undefined,
        member: ['', '*'].includes(member) ? 'Fresh' : member,
        path: path.replace('/*', '/fresh'),
      };
      return {
        name: name.replace(/^\*$/, 'fresh.fresh').replace('*', 'fresh'),
        header: header as Header,
      };
    });
  }

  function mayMore(some: PolicyRules, other: PolicyRules, probes: ReturnType<typeof witnesses>) {
    const [a, b] = [new Policy(some), new Policy(other)];
    return probes.some(({ name, header }) => {
      const [one, two] = [a.towards(name), b.towards(name)];
      if (one.level > two.level) return true;
      if (maySend(one, header) && !maySend(two, header)) return true;
      return mayHear(one, header) && !mayHear(two, header);
    });
  }

  property(
    'a difference of policies is one that the filter makes, and every one',
    async (holds) => {
      await holds(
        fc.property(POLICY_RULES, POLICY_RULES, (before, after) => {
          const { gained, lost } = policy(before, after);
          const probes = [...witnesses(before), ...witnesses(after)];
          expect(gained.length > 0).toBe(mayMore(after, before, probes));
          expect(lost.length > 0).toBe(mayMore(before, after, probes));
          expect(policy(before, before)).toEqual(NONE);
        }),
        { runs: 2_000 },
      );
    },
  );
});

describe('rules about HTTP', () => {
  const rules = COMPARE['http-rules'];

  test.each([
    [['GET,POST /a'], ['POST /a', 'GET /a'], [], []],
    [['GET /a'], ['GET,HEAD /a'], [], []],
    [['HEAD /a'], ['GET /a'], ['GET /a'], []],
    [['GET /a'], ['* /a'], ['* /a'], []],
    [['GET /a/*'], ['GET /a/b'], [], ['GET /a/*']],
    [['GET /a/**'], ['GET /a', 'GET /a/*/c'], [], ['GET /a/**']],
    [['OPTIONS *'], ['OPTIONS /**'], ['OPTIONS /**'], ['OPTIONS *']],
    [undefined, ['* /**'], [], ['every request']],
    [['GET /a'], undefined, ['every request'], []],
  ])('from %j to %j', (before, after, gained, lost) => {
    expect(rules(before, after)).toEqual({ gained, lost });
  });

  property('where no access is gained, no request passes that did not before', async (holds) => {
    const segment = fc.constantFrom('a', 'b', '*');
    const path = fc
      .tuple(fc.array(segment, { minLength: 1, maxLength: 3 }), fc.constantFrom('', '/**'))
      .map(([segments, end]) => `/${segments.join('/')}${end}`);
    const rule = fc
      .tuple(fc.constantFrom('*', 'GET', 'HEAD', 'GET,POST', 'POST'), path)
      .map((parts) => parts.join(' '));
    const list = fc.array(rule, { maxLength: 4 });
    const target = fc
      .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 })
      .map((segments) => `/${segments.join('/')}`);
    const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT');
    const parsed = (texts: readonly string[]) => texts.map((text) => parseRule(text) as HttpRule);
    await holds(
      fc.property(list, list, method, target, (before, after, asked, at) => {
        const { gained } = rules(before, after);
        const isNew = isAllowed(parsed(after), asked, at) && !isAllowed(parsed(before), asked, at);
        if (isNew) expect(gained).not.toEqual([]);
      }),
      { runs: 5_000 },
    );
  });
});

test.each([
  [['10.0.0.0/25', '10.0.0.128/25'], ['10.0.0.0/24'], [], []],
  [['10.0.0.7/24'], ['10.0.0.0/24'], [], []],
  [['10.0.0.0/24'], ['10.0.0.9'], [], ['from 10.0.0.0/24']],
  [['0.0.0.0/0'], ['::/0'], ['from ::/0'], ['from 0.0.0.0/0']],
  [['fe80::/10'], ['fe80::1', '10.1.0.0/16'], ['from 10.1.0.0/16'], ['from fe80::/10']],
  [[], ['10.0.0.1'], ['from 10.0.0.1'], []],
  [undefined, [], [], ['from every address']],
])('networks from %j to %j', (before, after, gained, lost) => {
  expect(COMPARE.networks(before, after)).toEqual({ gained, lost });
});

test('a set: what is absent has all', () => {
  expect(COMPARE.set(['a', 'b'], ['b', 'c'])).toEqual({ gained: ['c'], lost: ['a'] });
  expect(COMPARE.set(undefined, ['a'])).toEqual({ gained: [], lost: ['all'] });
  expect(COMPARE.set('a.example', undefined)).toEqual({ gained: ['all'], lost: [] });
});

test('options of HTTP: those that protect something', () => {
  const tls = { cert: 'c.pem', key: 'k.pem' };
  expect(COMPARE.http({ tls, via: true }, { via: false })).toEqual({
    gained: ['no tls'],
    lost: [`tls ${JSON.stringify(tls)}`],
  });
  expect(COMPARE.http({ health: { path: '/a' } }, undefined)).toEqual(NONE);
});

describe('a value', () => {
  it('of an order gives more or less', () => {
    const compare = byOrder(['ro', 'rw'], 'access');
    expect(compare('ro', 'rw')).toEqual({ gained: ['access "rw" in place of "ro"'], lost: [] });
    expect(compare('rw', 'ro')).toEqual({ gained: [], lost: ['access "ro" in place of "rw"'] });
    expect(compare('ro', 'ro')).toEqual(NONE);
  });

  it('of which nobody knows more takes one access and gives another', () => {
    expect(byIdentity('role')('a', undefined)).toEqual({ gained: ['no role'], lost: ['role "a"'] });
  });
});
