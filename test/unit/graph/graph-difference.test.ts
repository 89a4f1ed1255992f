/** What another graph changes: links, and access that goes with them. */
import { describe, expect, it, test } from 'vitest';
import { compareDeclared } from '../../../src/graph/declared-access.js';
import { type Access, compareGraphs } from '../../../src/graph/graph-difference.js';
import type { Link } from '../../../src/graph/link.js';
import { ROWS } from '../../../src/manifest/link-fields.js';
import { unixLink } from '../../support/link.js';
import { type Files, graphFrom, requires, revisionFrom, services } from '../manifest/scratch.js';

const LINK = unixLink();
const brief = (all: readonly Access[]) =>
  all.map(({ consumer, role, name, field, what }) =>
    [consumer ?? role ?? '*', name, field, what].filter(Boolean).join(' '),
  );

function between(before: Partial<Link>, after: Partial<Link>) {
  const { changed, access } = compareGraphs([unixLink(before)], [unixLink(after)]);
  const fields = changed.flatMap((one) => one.fields.map(({ field }) => field));
  return { fields, gained: brief(access.gained), lost: brief(access.lost) };
}

describe('a link', () => {
  it('that appears gives access, and one that vanishes takes it', () => {
    const { appeared, vanished, access } = compareGraphs([LINK], [unixLink({ name: 'other' })]);
    expect(appeared.map(({ name }) => name)).toEqual(['other']);
    expect(vanished).toEqual([LINK]);
    expect(brief(access.gained)).toEqual(['consumer other link']);
    expect(brief(access.lost)).toEqual(['consumer raw link']);
  });

  it('that can not be made gives none', () => {
    const error = { code: 'not-allowed', message: 'No.' } as const;
    expect(between({}, { error })).toEqual({
      fields: ['error'],
      gained: [],
      lost: ['consumer raw link'],
    });
    expect(between({ error }, {})).toMatchObject({ gained: ['consumer raw link'], lost: [] });
    expect(compareGraphs([], [unixLink({ error })]).access.gained).toEqual([]);
  });

  it('is the same whoever runs, and where its provider runs', () => {
    expect(between({}, { consumerPid: 1, providerPid: 2, uid: 3 }).fields).toEqual([]);
    expect(between({ socket: '127.0.0.1:80' }, { socket: '[fd00::2]:80' }).fields).toEqual([]);
    const bus = { provider: '_pv_', socket: '/run/a' };
    expect(between(bus, { ...bus, socket: '/run/b' }).fields).toEqual([]);
    expect(between({ socket: '127.0.0.1:80' }, { socket: '127.0.0.1:81' }).fields).toEqual([
      'socket',
    ]);
  });

  it('has its policy by meaning, and none in audit mode', () => {
    const policy = { talk: ['a.b'] };
    const reordered = between(
      { policy: { see: ['c.d'], talk: ['a.b'] } },
      { policy: { ...policy, see: ['a.b', 'c.d'] } },
    );
    expect(reordered).toEqual({ fields: ['policy'], gained: [], lost: [] });
    expect(between({ policy }, { policy, policyMode: 'audit' })).toEqual({
      fields: ['policy_mode'],
      gained: ['consumer raw policy everything that the bus itself allows'],
      lost: [],
    });
    const audit = { policyMode: 'audit' } as const;
    expect(between({ policy, ...audit }, { policy: {}, ...audit })).toMatchObject({
      gained: [],
      lost: [],
    });
  });

  it('has what only a plugin reads', () => {
    expect(between({ extra: { weight: 1 } }, { extra: { weight: 2 } })).toEqual({
      fields: ['weight'],
      gained: ['consumer raw weight weight 2'],
      lost: ['consumer raw weight weight 1'],
    });
  });
});

// A field that somebody adds and says nothing about is told as access.
test('a change of a field is access, but for those of which the table says that it is not', () => {
  const not = ROWS.filter(([, { access, live }]) => access === 'none' || live).map(([key]) => key);
  expect(not).toEqual([
    ...['consumerPid', 'providerPid', 'interface', 'transport', 'uid', 'policyMode', 'mode'],
    ...['proxyProtocol', 'maxConnections', 'optional', 'consumerEnd', 'providerEnd', 'error'],
  ]);
});

test.each(ROWS.filter(([, { onChange, live }]) => onChange === 'revoke' && !live))(
  '%s, of which a change revokes connections, is compared as access',
  (key, { access }) => {
    if (key !== 'policyMode') expect(access).not.toBe('none');
  },
);

describe('what two revisions declare beside their links', () => {
  const declared = (files: Files) => ({
    revision: revisionFrom(files),
    links: graphFrom(files).links,
  });
  const compare = (before: unknown, after: unknown, others: Files = {}) => {
    const side = (service: unknown) =>
      declared({ 'server/services.json': services(service), ...others });
    const { gained, lost } = compareDeclared(side(before), side(after));
    return { gained: brief(gained), lost: brief(lost) };
  };
  const RAW = { name: 'raw', type: 'unix', socket: '/run/raw' };

  test.each([
    [['a', 'container:c'], ['a'], [], ['* raw allow c may require it']],
    [['a'], undefined, ['* raw allow everyone may require it'], []],
    [undefined, ['b'], [], ['* raw allow everyone may require it']],
    [[], ['b'], ['* raw allow the role b may require it'], []],
  ])('is "allow" from %j to %j', (before, after, gained, lost) => {
    expect(compare({ ...RAW, allow: before }, { ...RAW, allow: after })).toEqual({ gained, lost });
  });

  it('is what roles may do that nobody has yet', () => {
    const bus = { name: 'bus', type: 'dbus', socket: '/run/bus' };
    const before = { ...bus, policy: { a: { talk: ['x.y'] }, b: { talk: ['x.y'] } } };
    const after = {
      ...bus,
      policy: { a: { talk: ['x.*'] }, b: { talk: ['x.*'] }, '*': { see: ['z.z'] } },
    };
    const role = requires({ name: 'bus', role: 'a' });
    expect(compare(before, after, { 'client/run.json': role })).toEqual({
      gained: ['* bus policy see z.z', 'b bus policy talk to x.*'],
      lost: [],
    });
    const rest = { name: 'api', type: 'rest', socket: '/run/api' };
    expect(compare({ ...rest, rules: { a: ['GET /'] } }, { ...rest, rules: {} })).toEqual({
      gained: [],
      lost: ['a api rules GET /'],
    });
    expect(compare({ ...rest, rules: {} }, rest)).toEqual({
      gained: ['* api rules every request'],
      lost: [],
    });
  });

  it('is who may own and call a name on the hosted bus', () => {
    const name = { type: 'dbus', owns: 'x.y', role: 'owner' };
    expect(
      compare(
        { ...name, allow: ['a'] },
        { ...name, role: 'other', allow: [{ role: 'a', members: ['M'] }] },
      ),
    ).toEqual({
      gained: ['* x.y owns the role other may own it'],
      lost: ['* x.y owns the role owner may own it', '* x.y owns the role a may call it'],
    });
    expect(compare({ ...name, allow: [] }, name).gained).toEqual([
      '* x.y owns everyone may call it',
    ]);
    expect(compare(RAW, name).gained).toEqual([
      '* x.y owns the role owner may own it',
      '* x.y owns everyone may call it',
    ]);
    const narrow = (...members: string[]) => ({ ...name, allow: [{ role: 'a', members }] });
    expect(compare(narrow('M'), narrow('M', 'N'))).toEqual({
      gained: ['* x.y owns the role a may call members M, N'],
      lost: [],
    });
  });
});
