import { describe, expect, test } from 'vitest';
import { isEavesdropping, parseMatchRule } from '../../../../src/plugins/dbus/match-rule.js';
import { OwnerSubscriptions } from '../../../../src/plugins/dbus/policy-filter.js';

describe('a match rule', () => {
  test.each([
    ['', {}],
    ["type='signal',sender='a.b'", { type: 'signal', sender: 'a.b' }],
    [" type = 'signal'", { type: " 'signal'".replaceAll("'", '') }],
    ["arg0='a,b=c'", { arg0: 'a,b=c' }],
    ['eavesdrop=true', { eavesdrop: 'true' }],
    ["arg0='it'\\''s'", { arg0: "it's" }],
    ['arg0=a\\b\\', { arg0: 'a\\b\\' }],
    ['arg0=\\,type=a', { arg0: '\\,type=a' }],
    ["arg0=\\\\'',type=a,arg1=\\'", { arg0: '\\\\', type: 'a', arg1: "'" }],
  ])('%j is read as the bus reads it', (text, expected) => {
    expect(Object.fromEntries(parseMatchRule(text) ?? [])).toEqual(expected);
  });

  test.each(["type='signal", 'type', "type='a',type='b'"])('%j is none', (text) => {
    expect(parseMatchRule(text)).toBeNull();
  });

  test.each([
    ["eavesdrop='true'", true],
    ["type='signal', eavesdrop='true'", true],
    ["eavesdrop='tr'ue", true],
    ["eavesdrop='false'", false],
    ["arg0='eavesdrop'", false],
    ["eavesdrop='true", true],
    ["arg0=\\\\'',eavesdrop=true,arg1=\\'", true],
    ["type='signal'", false],
  ])('%j asks to overhear: %s', (text, overhears) => {
    expect(isEavesdropping(text)).toBe(overhears);
  });

  test.each([
    ["type='signal'", true],
    ["sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='a.b'", true],
    ["arg0namespace='a'", true],
    ["arg0namespace='a.b'", true],
    ["arg0='a.c'", false],
    ["arg0namespace='a.bc'", false],
    ["arg0namespace='b'", false],
    ["arg0='a.b',arg0namespace='a'", true],
    ["arg0='a.b',arg0namespace='a.b.c'", false],
    ["type='method_call'", false],
    ["sender='a.b'", false],
    ["member='NameAcquired'", false],
  ])('%j asks for the owner of a.b: %s', (text, asks) => {
    const subscriptions = new OwnerSubscriptions();
    subscriptions.add(text);
    expect(subscriptions.includes('a.b')).toBe(asks);
  });
});

describe('what a consumer wants to hear of', () => {
  test('is wanted until each rule was taken back as often as it was added', () => {
    const subscriptions = new OwnerSubscriptions();
    expect(subscriptions.includes('a.b')).toBe(false);
    for (const rule of ["arg0='a.b'", "arg0='a.b'", "arg0='a.c'"]) subscriptions.add(rule);
    subscriptions.remove("arg0='a.b'");
    expect(subscriptions.includes('a.b')).toBe(true);
    subscriptions.remove("arg0='a.b'");
    expect([subscriptions.includes('a.b'), subscriptions.includes('a.c')]).toEqual([false, true]);
  });

  test('is everything once there are too many rules to remember', () => {
    const subscriptions = new OwnerSubscriptions();
    for (let count = 0; count < 2_000; count++) subscriptions.add(`arg0='a.x${count}'`);
    expect(subscriptions.includes('z.z')).toBe(true);
  });
});
