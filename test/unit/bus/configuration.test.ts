/** The configuration of the bus. test/integration/bus tests that a real dbus-daemon applies it. */
import { describe, expect, it } from 'vitest';
import { busConfiguration } from '../../../src/bus/configuration.js';
import { busDeclarations } from '../../../src/graph/hosted-bus.js';
import { type Files, requires, revisionFrom, services } from '../manifest/scratch.js';

const UIDS = new Map([
  ['foo', 200_000],
  ['bar', 200_001],
  ['operator', 200_002],
  ['monitor', 200_003],
]);

function owner(name: string, more: object = {}) {
  return { type: 'dbus', owns: `org.example.${name}`, role: name.toLowerCase(), ...more };
}

function configurationOf(files: Files) {
  return busConfiguration(busDeclarations(revisionFrom(files)), UIDS);
}

/** The rules of one policy, in order. */
function rulesOf(text: string, who: string): string[] {
  const body = text.split(`  <policy ${who}>\n`)[1]?.split('  </policy>')[0] ?? '';
  return body.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
}

describe('the configuration of the bus', () => {
  const FILES = {
    'a/services.json': services(owner('Foo', { allow: ['operator', 'monitor'] })),
    'b/services.json': services(owner('Bar', { allow: ['foo'] })),
  };

  it('lets a role own what it owns, and call that and what it is allowed to', () => {
    expect(rulesOf(configurationOf(FILES), 'user="200000"')).toEqual([
      '<allow own="org.example.Foo"/>',
      '<allow send_destination="org.example.Foo" send_type="method_call"/>',
      '<allow send_destination="org.example.Bar" send_type="method_call"/>',
    ]);
    expect(rulesOf(configurationOf(FILES), 'user="200002"')).toEqual([
      '<allow send_destination="org.example.Foo" send_type="method_call"/>',
    ]);
  });

  it('lets everyone call a name without "allow", and no one but its owner one with an empty list', () => {
    const text = configurationOf({
      'a/services.json': services(owner('Foo'), owner('Bar', { allow: [] })),
    });
    const forAll = rulesOf(text, 'context="default"');
    expect(forAll.at(-1)).toBe(
      '<allow send_destination="org.example.Foo" send_type="method_call"/>',
    );
    expect(forAll.join()).not.toContain('Bar');
    expect(text.match(/send_destination="org.example.Bar"/g)).toHaveLength(1);
  });

  it('has a rule for each combination of what a caller is narrowed to', () => {
    const caller = { role: 'operator', interfaces: ['a.B', 'a.C'], members: ['Get'], paths: ['/'] };
    const text = configurationOf({
      'a/services.json': services(owner('Foo', { allow: [caller, { role: 'monitor' }] })),
    });
    const rule = (more: string) =>
      `<allow send_destination="org.example.Foo" send_type="method_call"${more}/>`;
    expect(rulesOf(text, 'user="200002"')).toEqual([
      rule(' send_interface="a.B" send_member="Get" send_path="/"'),
      rule(' send_interface="a.C" send_member="Get" send_path="/"'),
    ]);
    expect(rulesOf(text, 'user="200003"')).toEqual([rule('')]);
  });

  it('denies everyone to own and to call before it allows anything', () => {
    const rules = rulesOf(configurationOf({}), 'context="default"');
    expect(rules.slice(0, 3)).toEqual([
      '<allow user="*"/>',
      '<deny own="*"/>',
      '<deny send_type="method_call"/>',
    ]);
    expect(rules.join()).not.toContain('eavesdrop');
  });

  it('has no rule for a role that has no uid, and none for a container', () => {
    const text = configurationOf({
      'a/services.json': services({
        ...owner('Foo'),
        role: 'stranger',
        allow: ['stranger', 'container:operator'],
      }),
    });
    expect(text).not.toContain('org.example.Foo');
  });

  it('is the same text for the same declarations in another order', () => {
    const turned = {
      'b/services.json': FILES['b/services.json'],
      'a/services.json': FILES['a/services.json'],
      'c/run.json': requires({ name: 'system-bus', role: 'operator' }),
    };
    expect(configurationOf(turned)).toBe(configurationOf(FILES));
  });
});
