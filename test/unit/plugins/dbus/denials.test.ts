import { describe, expect, test } from 'vitest';
import type { Link } from '../../../../src/graph/link.js';
import type { Use } from '../../../../src/graph/use.js';
import type { Logger } from '../../../../src/kernel/log.js';
import { Denials } from '../../../../src/plugins/dbus/denials.js';
import type { Tally } from '../../../../src/plugins/plugin.js';

function denials(policyMode?: 'audit') {
  const said: { level: string; verdict: string; text: string; since: number }[] = [];
  const note = (level: string) => (fields: { verdict: string; since: number }, text: string) =>
    said.push({ level, verdict: fields.verdict, text, since: fields.since });
  const log = { info: note('info'), warn: note('warn') } as unknown as Logger;
  const link = { consumer: 'app', role: 'operator', ...(policyMode && { policyMode }) } as Link;
  const tally: Tally = { toProvider: 0, toConsumer: 0, closes: {}, denied: {}, audited: {} };
  const clock = { now: 0 };
  return { said, tally, clock, denials: new Denials(link, log, tally, () => clock.now) };
}

const use = (member: string, names = ['a.b']): Use => ({
  ...{ right: 'call', name: names[0] ?? ':1.5', names, rule: `a.b.${member}@/` },
  what: `call a.b.${member}`,
});

describe('refusals', () => {
  test('are said once a minute and rule, and counted each time', () => {
    const { said, tally, clock, denials: noted } = denials();
    for (const at of [0, 10, 59_999]) {
      clock.now = at;
      noted.note(use('Reset'));
    }
    noted.note(use('Other'));
    clock.now = 60_000;
    noted.note(use('Reset'));
    expect(said.map(({ text }) => text)).toEqual([
      'app with the role "operator" may not call a.b.Reset. "call": {"a.b": ["a.b.Reset@/"]} would allow it.',
      'app with the role "operator" may not call a.b.Other. "call": {"a.b": ["a.b.Other@/"]} would allow it.',
      'app with the role "operator" may not call a.b.Reset. "call": {"a.b": ["a.b.Reset@/"]} would allow it.',
    ]);
    expect(said.map(({ since }) => since)).toEqual([0, 0, 2]);
    expect(tally.denied).toEqual({
      '"call": {"a.b": ["a.b.Reset@/"]}': 4,
      '"call": {"a.b": ["a.b.Other@/"]}': 1,
    });
  });

  test('of an audit have words and counters of their own', () => {
    const { said, tally, denials: noted } = denials('audit');
    noted.note(use('Reset'));
    expect(said[0]).toMatchObject({ level: 'info', verdict: 'would-deny' });
    expect(said[0]?.text).toContain('would not be allowed to call a.b.Reset');
    expect([Object.keys(tally.denied), Object.values(tally.audited)]).toEqual([[], [1]]);
  });

  test('that no rule could allow say so', () => {
    const { said, denials: noted } = denials();
    noted.note({ right: 'call', name: 'org.freedesktop.DBus', names: [], what: 'call x' });
    noted.note(use('Reset', []));
    expect(said[0]?.text).toContain('No rule can allow it.');
    expect(said[1]?.text).toContain('A rule for a well-known name of whom it is about');
  });

  test('that a consumer makes up take no more than a bounded room', () => {
    const { said, tally, denials: noted } = denials();
    for (let count = 0; count < 1_000; count++) noted.note(use(`M${count}`));
    expect(Object.keys(tally.denied)).toHaveLength(101);
    expect(tally.denied.others).toBe(900);
    expect(said).toHaveLength(101);
  });
});
