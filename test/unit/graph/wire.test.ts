/** The wire form: its order of fields, what foreign runtimes may leave out, and what no runtime may send. */
import { describe, expect, it } from 'vitest';
import type { Link } from '../../../src/graph/link.js';
import { linkToWire, parseGraph } from '../../../src/graph/wire.js';
import { LINK_FIELDS, type LinkKey, ROWS } from '../../../src/manifest/link-fields.js';
import { unixLink, wireLink } from '../../support/link.js';
import { fc, property } from '../../support/property.js';

const TEN = wireLink({ consumer_pid: 1234, provider_pid: 5678 });

function parseOne(change: object) {
  const { links, errors } = parseGraph([{ ...TEN, ...change }]);
  return links[0] ?? errors[0];
}

describe('written', () => {
  it('has the ten fixed fields first and in their order, then ours, then what was kept', () => {
    const wire = linkToWire({
      consumer: 'c',
      consumerPid: 1,
      provider: 'p',
      providerPid: 2,
      name: 'n',
      type: 'http',
      role: 'r',
      interface: 'i',
      target: '0.0.0.0:80',
      socket: '/s',
      extra: { theirs: 1 },
      error: { code: 'not-allowed', message: 'No.' },
      host: 'a.b',
      match: { name: 'Keys' },
      lease: ['DP-1'],
      access: 'ro',
      device: 'fd',
      fds: false,
      mode: 'dgram',
      uid: 5,
      transport: 'unix',
    });
    expect(Object.keys(wire)).toEqual([
      ...Object.keys(TEN),
      ...['transport', 'uid', 'mode', 'fds', 'device', 'access', 'lease', 'match'],
      ...['host', 'error', 'theirs'],
    ]);
  });

  it('has those ten only where nothing else is set', () => {
    const [link] = parseGraph([TEN]).links;
    expect(link && linkToWire(link)).toStrictEqual(TEN);
  });
});

describe('read from a foreign runtime', () => {
  it('needs no field of ours, and takes null for an absent one', () => {
    const nulls = { transport: null, uid: null, mode: null, fds: null, host: null, error: null };
    expect(parseOne(nulls)).toStrictEqual(parseOne({}));
    expect(parseOne({ host: '' })).toStrictEqual(parseOne({}));
    expect(parseOne({ http: { tls: null, via: true } })).toStrictEqual(
      parseOne({ http: { via: true } }),
    );
  });

  it('takes role and interface as any and the type where they are missing', () => {
    const { role: _, interface: __, ...rest } = TEN;
    expect(parseGraph([rest]).links).toMatchObject([{ role: 'any', interface: 'unix' }]);
  });

  it.each([
    ['raw', 'unix', '/run/pv/services/raw.sock'],
    ['bus', 'dbus', '/run/pv/services/bus.sock'],
    ['screen', 'wayland', '/run/wayland-0'],
    ['card', 'drm', '/run/example/raw.sock'],
  ])('takes the default for a target of null: %s of type %s', (name, type, target) => {
    expect(parseOne({ name, type, target: null })).toMatchObject({ target });
    expect(parseOne({ name, type, target: null })).not.toHaveProperty('error');
  });

  it.each([
    [{ type: 'tcp', target: null }, 'Found no target for type tcp, expected IP:PORT.'],
    [
      { target: `/run/${'x'.repeat(103)}` },
      'Found a target of 108 bytes, expected at most 107, which is what a program can connect to.',
    ],
  ])('shows a target that nobody can have as failed: %j', (change, message) => {
    expect(parseOne(change)).toMatchObject({ error: { code: 'target-invalid', message } });
  });

  it('takes a device node at any path', () => {
    expect(parseOne({ type: 'drm', target: `/dev/${'x'.repeat(200)}` })).not.toHaveProperty(
      'error',
    );
  });

  it('needs no type, provider or socket of a link that can not be made', () => {
    const error = { code: 'manifest-invalid', message: 'No.' };
    const wire = { ...TEN, type: '', interface: '', provider: '', socket: '', target: '/x', error };
    const [link] = parseGraph([wire]).links;
    expect(link && linkToWire(link)).toEqual(wire);
  });

  it('keeps unknown fields', () => {
    const text = JSON.stringify([TEN]).replace('{', '{"__proto__":{"x":1},"future":[1],');
    const [link] = parseGraph(JSON.parse(text)).links;
    expect(Object.keys(link?.extra ?? {})).toEqual(['__proto__', 'future']);
    expect(JSON.parse(JSON.stringify(link && linkToWire(link)))).toEqual(JSON.parse(text)[0]);
  });

  it('drops what was reported, so that a graph read back is the same graph', () => {
    const reported = {
      state: 'failed',
      last_error: { code: 'timed-out', message: 'x' },
      since: '2026-11-23T10:00:00.000Z',
      connections: { active: 1, total: 2 },
      bytes: { to_provider: 1, to_consumer: 2 },
      security_context: true,
    };
    expect(parseOne(reported)).toStrictEqual(parseOne({}));
  });

  it('takes a type that we lack, and a pid of 0 or less', () => {
    expect(parseOne({ type: 'quic', consumer_pid: -1, provider_pid: 0 })).toMatchObject({
      type: 'quic',
      consumerPid: -1,
      providerPid: 0,
    });
  });
});

describe('a field that nobody knows', () => {
  it('is compared with ours for so many names only, and only once each', () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`x${at}`, 1]));
    const { notices } = parseGraph([
      { ...TEN, ...many, hots: 'a' },
      { ...TEN, name: 'other', target: '/b', hosts: 'a' },
    ]);
    expect(notices).toEqual([]);
    expect(parseGraph([{ ...TEN, hots: 'a', ...many }]).notices).toHaveLength(1);
  });

  it('is told once where it is nearly one of ours', () => {
    const { links, errors, notices } = parseGraph([
      TEN,
      { ...TEN, name: 'b', allow_form: ['10.0.0.0/8'], theirs: 1, Roles: 2 },
      { ...TEN, name: 'c', allow_form: [] },
    ]);
    expect(links).toHaveLength(3);
    expect(errors).toEqual([]);
    expect(notices).toEqual([
      '/1/allow_form: found the unknown field "allow_form", expected "allow_from".',
      '/1/Roles: found the unknown field "Roles", expected "role".',
    ]);
  });
});

describe('a bad entry takes out itself alone', () => {
  const rules = (count: number) => Array.from({ length: count }, () => 'org.example.Foo');
  it.each([
    ['a consumer that is missing', { consumer: undefined }, ''],
    ['an empty name', { name: '' }, '/name'],
    ['an empty type', { type: '' }, '/type'],
    ['a pid that is text', { consumer_pid: '12' }, '/consumer_pid'],
    ['a pid with a fraction', { provider_pid: 1.5 }, '/provider_pid'],
    ['a pid beyond 31 bits', { provider_pid: 2 ** 31 }, '/provider_pid'],
    ['a path over 4096 characters', { socket: `/${'x'.repeat(4096)}` }, '/socket'],
    ['a NUL', { target: '/run/a\0b' }, '/target'],
    ['a lone surrogate', { consumer: 'a\ud800' }, '/consumer'],
    ['a role that is a number', { role: 7 }, '/role'],
    ['the uid -1', { uid: 0xffff_ffff }, '/uid'],
    ['an unknown mode', { mode: 'fast' }, '/mode'],
    ['an empty mode', { mode: '' }, '/mode'],
    ['fds that are text', { fds: 'no' }, '/fds'],
    ['an access of neither kind', { access: 'wo' }, '/access'],
    ['a lease of nothing', { lease: [] }, '/lease'],
    [
      'a lease of too much',
      { lease: Array.from({ length: 33 }, (_, at) => `DP-${at + 1}`) },
      '/lease',
    ],
    ['a lease of what is no name', { lease: ['DP-1', 7] }, '/lease/1'],
    ['a match of nothing', { match: {} }, '/match'],
    ['a match of what no device has', { match: { name: 'x', serial: 'y' } }, '/match/serial'],
    ['a match over 255 characters', { match: { name: 'x'.repeat(256) } }, '/match/name'],
    ['an error without a known code', { error: { code: 'x', message: 'y' } }, '/error/code'],
    ['a field nested too deep', { x: JSON.parse('['.repeat(70) + ']'.repeat(70)) }, '/x'],
    ['a policy that is a list', { policy: [] }, '/policy'],
    ['a policy of an unknown kind', { policy: { look: ['org.example.Foo'] } }, '/policy/look'],
    ['a policy that is text', { policy: { see: 'org.example.Foo' } }, '/policy/see'],
    ['a unique name in a policy', { policy: { see: [':1.5'] } }, '/policy/see/0'],
    ['a bad name in a policy', { policy: { talk: ['a.b', 'a..c'] } }, '/policy/talk/1'],
    ['calls without names', { policy: { call: ['org.example.Foo'] } }, '/policy/call'],
    ['calls that are text', { policy: { call: { 'a.b': 'a.b.C' } } }, '/policy/call/a.b'],
    ['a call of no method', { policy: { call: { 'a.b': ['C'] } } }, '/policy/call/a.b/0'],
    ['calls of no name', { policy: { call: { nothing: ['a.b.C'] } } }, '/policy/call'],
    [
      'a policy of many lists',
      { policy: { see: rules(20_000), talk: rules(20_000), own: ['*'] } },
      '/policy',
    ],
    ['a policy without an end', { policy: { see: rules(100_000) } }, '/policy/see'],
    ['http that is a list', { http: [] }, '/http'],
    ['an unknown option of http', { http: { header: 1 } }, '/http/header'],
    ['a flag that is text', { http: { strip_prefix: 'no' } }, '/http/strip_prefix'],
    ['a certificate without its key', { http: { tls: { cert: 'a' } } }, '/http/tls'],
    ['a certificate above', { http: { tls: { cert: '../a', key: 'b' } } }, '/http/tls/cert'],
    ['a certificate anywhere', { http: { tls: { cert: '/a', key: 'b' } } }, '/http/tls/cert'],
    ['a key beside', { http: { tls: { cert: 'a', key: 'b/./c' } } }, '/http/tls/key'],
    ['a check of no path', { http: { health: {} } }, '/http/health'],
    ['a check of half a path', { http: { health: { path: 'x' } } }, '/http/health/path'],
    ['a blank in a path', { http: { health: { path: '/a b' } } }, '/http/health/path'],
    ['a fragment in a path', { http: { health: { path: '/a#b' } } }, '/http/health/path'],
    ['lines in a path', { http: { health: { path: '/\r\nX: y' } } }, '/http/health/path'],
    ['no time', { http: { health: { path: '/', interval: 0 } } }, '/http/health/interval'],
    ['too much time', { http: { health: { path: '/', timeout: 1e9 } } }, '/http/health/timeout'],
    ['too small a head', { http: { limits: { head: 255 } } }, '/http/limits/head'],
    ['half a header', { http: { limits: { headers: 1.5 } } }, '/http/limits/headers'],
    ['a rule of no path', { rules: ['GET'] }, '/rules/0'],
  ])('%s', (_, change, field) => {
    const { links, errors } = parseGraph([
      { ...TEN, ...change },
      { ...TEN, name: 'other' },
    ]);
    expect(links[0]).toMatchObject({ name: 'other' });
    // Shown where it says whose it is.
    const isKnown = !['', '/consumer', '/name', '/target'].includes(field);
    const message = `Its entry in the graph can't be read: ${errors[0]?.slice('/0'.length)}`;
    const shown = { name: 'raw', socket: '', error: { code: 'runtime-answer', message } };
    expect(links.slice(1)).toMatchObject(isKnown ? [shown] : []);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(new RegExp(`^/0${field}: found .+, expected .+\\.$`));
  });

  it('and what is no object is one', () => {
    expect(parseGraph([null, 7, [], TEN])).toMatchObject({
      links: [{ name: 'raw' }],
      errors: [
        expect.stringMatching(/^\/0: /),
        expect.stringMatching(/^\/1: /),
        expect.stringMatching(/^\/2: /),
      ],
    });
  });

  it('and of two links with one identity the first stands', () => {
    const { links, errors } = parseGraph([TEN, { ...TEN, role: 'other' }]);
    expect(links).toMatchObject([{ role: 'any' }]);
    expect(errors).toEqual([expect.stringContaining('/1: found "raw" of "consumer"')]);
  });
});

describe('a whole graph', () => {
  it.each([null, {}, 'x', 7, { links: [] }])('that is no array is an error: %j', (json) => {
    const errors = [expect.stringContaining('an array')];
    expect(parseGraph(json)).toEqual({ links: [], errors, notices: [] });
  });

  it('of more than 20,000 links is cut there, and says so', () => {
    const many = Array.from({ length: 20_001 }, (_, at) => ({ ...TEN, name: `n${at}` }));
    const { links, errors } = parseGraph(many);
    expect(links).toHaveLength(20_000);
    expect(errors).toEqual([expect.stringContaining('20001 links')]);
  });

  it('of nothing but bad entries has a bounded list of errors', () => {
    const { errors } = parseGraph(Array(5000).fill(7));
    expect(errors).toHaveLength(101);
    expect(errors.at(-1)).toBe('4900 more entries are wrong.');
  });
});

const TEXT = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((text) => !text.includes('\0'));
const PID = fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 });
const NAME = fc.constantFrom('org.example.Foo', 'net.connman');
const RULES = fc.array(NAME, { maxLength: 3 });
const NETWORKS = fc.array(fc.constantFrom('10.0.0.0/8', '::1', '192.168.1.7'), { maxLength: 5 });
const SECONDS = fc.double({ min: 0.1, max: 86_400, noNaN: true });
const optional = { requiredKeys: [] };

const END = fc.record({ how: TEXT, times: fc.integer({ min: 1, max: 99 }), log: TEXT });

/** Whatever each field may hold: one that is missing here does not compile. */
const VALUES: { readonly [K in LinkKey]: fc.Arbitrary<NonNullable<Link[K]>> } = {
  consumer: TEXT,
  consumerPid: PID,
  provider: TEXT,
  providerPid: PID,
  name: TEXT,
  type: TEXT,
  role: TEXT,
  interface: TEXT,
  target: TEXT,
  socket: TEXT,
  transport: fc.constantFrom('unix', 'tcp'),
  uid: fc.nat(),
  policy: fc.record(
    { see: RULES, talk: RULES, own: RULES, call: fc.dictionary(NAME, fc.constant(['a.b.C'])) },
    optional,
  ),
  policyMode: fc.constantFrom('enforce', 'audit'),
  optional: fc.boolean(),
  consumerEnd: END,
  providerEnd: END,
  activates: RULES,
  mode: fc.constantFrom('stream', 'seqpacket', 'dgram'),
  fds: fc.boolean(),
  device: fc.constantFrom('node', 'fd'),
  access: fc.constantFrom('ro', 'rw'),
  lease: fc.uniqueArray(
    fc.nat(998).map((at) => `HDMI-A-${at + 1}`),
    { minLength: 1, maxLength: 32 },
  ),
  match: fc.oneof(
    fc.record({ name: fc.constantFrom('Keys', 'a') }),
    fc.record({ phys: fc.constant('usb-1/input0'), vendor: fc.constant('046d') }),
  ),
  host: fc.constantFrom('example.org', '*.example.org', 'a'),
  proxyProtocol: fc.constantFrom(1, 2),
  maxConnections: fc.integer({ min: 1, max: 65_535 }),
  allowFrom: NETWORKS,
  rules: fc.array(fc.constantFrom('GET /a/**', '* /'), { maxLength: 5 }),
  http: fc.record(
    {
      strip_prefix: fc.boolean(),
      tls: fc.constant({ cert: 'site/cert.pem', key: 'key' }),
      health: fc.record({ path: fc.constant('/health?x'), interval: SECONDS, timeout: SECONDS }),
      limits: fc.record({ head: fc.integer({ min: 256, max: 65_536 }), idle_timeout: SECONDS }),
      access_log: fc.boolean(),
      via: fc.boolean(),
    },
    optional,
  ),
  error: fc.record({
    code: fc.constantFrom('not-allowed', 'internal'),
    message: fc.string(),
  }),
};
const KNOWN = [
  ...ROWS.map(([, { wire }]) => wire),
  ...['state', 'last_error', 'since', 'connections', 'bytes', 'security_context'],
];
const LINK = fc.record(
  {
    ...VALUES,
    extra: fc.dictionary(
      fc.string().filter((key) => !KNOWN.includes(key)),
      fc.jsonValue({ maxDepth: 5 }),
      { minKeys: 1, noNullPrototype: true },
    ),
  },
  {
    requiredKeys: [
      ...(['consumer', 'consumerPid', 'provider', 'providerPid', 'name'] as const),
      ...(['type', 'role', 'interface', 'target', 'socket'] as const),
    ],
  },
) as fc.Arbitrary<Link>;

describe('each field', () => {
  it.each(ROWS.map(([key]) => key))(
    '%s is read back from the name that it was written by',
    (key) => {
      for (const value of fc.sample(VALUES[key] as fc.Arbitrary<unknown>, {
        numRuns: 20,
        seed: 1,
      })) {
        const link = { ...unixLink(), [key]: value };
        const wire = JSON.parse(JSON.stringify(linkToWire(link)));
        expect(wire[LINK_FIELDS[key].wire]).toEqual(JSON.parse(JSON.stringify(value)));
        expect(parseGraph([wire]).links).toEqual([JSON.parse(JSON.stringify(link))]);
      }
    },
  );

  it('has a name of its own, which no report of the daemon has', () => {
    expect(new Set(KNOWN).size).toBe(KNOWN.length);
  });
});

describe('fuzzed', () => {
  property('what was written is read back the same', async (holds) => {
    await holds(
      fc.property(LINK, (link) => {
        const json = JSON.parse(JSON.stringify([linkToWire(link)]));
        const { links, errors } = parseGraph(json);
        expect(errors).toEqual([]);
        expect(links).toEqual([JSON.parse(JSON.stringify(link))]);
      }),
      { runs: 300 },
    );
  });

  property('any JSON is read without throwing', async (holds) => {
    const entry = fc.record(
      Object.fromEntries(
        Object.entries(TEN).map(([key, value]) => [
          key,
          fc.oneof(fc.constant(value), fc.jsonValue()),
        ]),
      ),
      { requiredKeys: [] },
    );
    await holds(
      fc.property(fc.oneof(fc.jsonValue(), fc.array(fc.oneof(entry, fc.jsonValue()))), (json) => {
        const { links, errors } = parseGraph(json);
        expect(links.length + errors.length).toBeGreaterThanOrEqual(
          Array.isArray(json) ? Math.min(json.length, 101) : 1,
        );
      }),
      { runs: 300 },
    );
  });
});
