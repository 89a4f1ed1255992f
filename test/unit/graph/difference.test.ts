/** What is done about a link that changed, field by field. */
import { describe, expect, it, test } from 'vitest';
import { changeOf, changeSince, digestOf, isSameLink } from '../../../src/graph/difference.js';
import { CHANGES, LINK_FIELDS, ROWS } from '../../../src/manifest/link-fields.js';
import { unixLink } from '../../support/link.js';

const LINK = unixLink();

describe('a change', () => {
  // What a value means is nobody's affair here: one that no link has differs from all.
  it.each(ROWS)('of %s is what the table says of it', (key, { onChange }) => {
    const changed = { ...LINK, [key]: { another: 'value' } };
    expect(changeOf(LINK, changed)).toBe(onChange);
    expect(changeOf(changed, LINK)).toBe(onChange);
    expect(isSameLink(LINK, changed)).toBe(false);
  });

  it('of what nobody knows counts as one of what we know', () => {
    const [a, b] = [unixLink({ extra: { weight: 1 } }), unixLink({ extra: { weight: 2 } })];
    expect(changeOf(LINK, a)).toBe('reattach');
    expect(changeOf(a, b)).toBe('reattach');
    expect(changeOf(a, unixLink({ extra: { weight: 1 } }))).toBe('nothing');
  });

  it('of several is the strongest of them', () => {
    const both = { providerPid: 7, activates: ['a.b'] };
    expect(changeOf(LINK, unixLink(both))).toBe('retarget');
    expect(changeOf(LINK, unixLink({ ...both, mode: 'dgram' }))).toBe('reattach');
    expect(changeOf(LINK, unixLink({ ...both, mode: 'dgram', role: 'x' }))).toBe('revoke');
  });

  it('of the order of keys is none', () => {
    const [a, b] = [{ name: 'x', phys: 'y' } as const, { phys: 'y', name: 'x' } as const];
    expect(changeOf(unixLink({ match: a }), unixLink({ match: b }))).toBe('nothing');
  });
});

describe('a change since a digest was made', () => {
  it.each(ROWS)('of %s is as strong as one of the link itself', (key, { onChange }) => {
    const isTold = onChange === 'reattach' || onChange === 'revoke';
    const changed = { ...LINK, [key]: { another: 'value' } };
    expect(changeSince(digestOf(LINK), changed)).toBe(isTold ? onChange : 'nothing');
    expect(changeSince(digestOf(changed), LINK)).toBe(isTold ? onChange : 'nothing');
  });

  it('of what nobody knows counts; of the order of keys, and of a default, none does', () => {
    const [a, b] = [unixLink({ extra: { x: 1, y: 2 } }), unixLink({ extra: { y: 2, x: 1 } })];
    expect(changeSince(digestOf(LINK), a)).toBe('reattach');
    expect(changeSince(digestOf(a), b)).toBe('nothing');
    expect(changeSince(digestOf(LINK), unixLink({ fds: true }))).toBe('nothing');
  });

  it('of several is the strongest of them', () => {
    const after = unixLink({ mode: 'dgram', role: 'x', providerPid: 7 });
    expect(changeSince(digestOf(LINK), after)).toBe('revoke');
  });
});

const DEFAULTS = ROWS.filter(([, { absent }]) => absent !== undefined);

test.each(DEFAULTS)('%s: its default is the same as its absence', (key, { absent }) => {
  expect(isSameLink(LINK, { ...LINK, [key]: absent })).toBe(true);
});

test('whatever decides who may connect is revoked at once', () => {
  const revoked = ROWS.filter(([, { onChange }]) => onChange === 'revoke').map(([key]) => key);
  expect(revoked).toEqual(['role', 'uid', 'policy', 'policyMode', 'allowFrom', 'rules']);
  expect(CHANGES.at(-1)).toBe('revoke');
  expect(LINK_FIELDS.error.onChange).toBe('nothing'); // plan() looks at it first
});
