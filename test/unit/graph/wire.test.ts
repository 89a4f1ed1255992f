/** The wire form: its order of fields, what foreign runtimes may leave out, and what no runtime may send. */
import { describe, expect, it } from 'vitest';
import type { Link } from '../../../src/graph/link.js';
import { linkToWire, parseGraph } from '../../../src/graph/wire.js';
import { wireLink } from '../../support/link.js';
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

describe('a bad entry takes out itself alone', () => {
  it.each([
    ['a consumer that is missing', { consumer: undefined }, '/consumer'],
    ['an empty name', { name: '' }, '/name'],
    ['a pid that is text', { consumer_pid: '12' }, '/consumer_pid'],
    ['a pid with a fraction', { provider_pid: 1.5 }, '/provider_pid'],
    ['a pid beyond 31 bits', { provider_pid: 2 ** 31 }, '/provider_pid'],
    ['a path over 4096 characters', { socket: `/${'x'.repeat(4096)}` }, '/socket'],
    ['a NUL', { target: '/run/a\0b' }, '/target'],
    ['a lone surrogate', { consumer: 'a\ud800' }, '/consumer'],
    ['a role that is a number', { role: 7 }, '/role'],
    ['the uid -1', { uid: 0xffff_ffff }, '/uid'],
    ['an unknown mode', { mode: 'fast' }, '/mode'],
    ['fds that are text', { fds: 'no' }, '/fds'],
    ['an access of neither kind', { access: 'wo' }, '/access'],
    ['a lease of nothing', { lease: [] }, '/lease'],
    ['a lease of too much', { lease: Array(33).fill('DP-1') }, '/lease'],
    ['a lease of what is no name', { lease: ['DP-1', 7] }, '/lease'],
    ['a match of nothing', { match: {} }, '/match'],
    ['a match of what no device has', { match: { name: 'x', serial: 'y' } }, '/match'],
    ['a match over 255 characters', { match: { name: 'x'.repeat(256) } }, '/match'],
    ['an error without a known code', { error: { code: 'x', message: 'y' } }, '/error'],
    ['a field nested too deep', { x: JSON.parse('['.repeat(70) + ']'.repeat(70)) }, '/x'],
  ])('%s', (_, change, field) => {
    const { links, errors } = parseGraph([
      { ...TEN, ...change },
      { ...TEN, name: 'other' },
    ]);
    expect(links[0]).toMatchObject({ name: 'other' });
    // Shown where it says whose it is.
    const isKnown = !['/consumer', '/name', '/target'].includes(field);
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
    expect(parseGraph(json)).toEqual({ links: [], errors: [expect.stringContaining('an array')] });
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
const RESERVED =
  /^(consumer|provider)(_pid)?$|^(name|type|role|interface|target|socket|transport|uid|mode|fds|device|access|lease|match|host|error|state|last_error|since|connections|bytes|security_context)$/;
const LINK: fc.Arbitrary<Link> = fc.record(
  {
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
    transport: fc.constantFrom('unix' as const, 'tcp' as const),
    uid: fc.nat(),
    mode: fc.constantFrom('stream' as const, 'seqpacket' as const, 'dgram' as const),
    fds: fc.boolean(),
    device: fc.constantFrom('node' as const, 'fd' as const),
    access: fc.constantFrom('ro' as const, 'rw' as const),
    lease: fc.array(TEXT, { minLength: 1, maxLength: 32 }),
    match: fc.oneof(fc.record({ name: TEXT }), fc.record({ phys: TEXT, vendor: TEXT })),
    host: TEXT,
    error: fc.record({
      code: fc.constantFrom('not-allowed' as const, 'internal' as const),
      message: fc.string(),
    }),
    extra: fc.dictionary(
      fc.string().filter((key) => !RESERVED.test(key)),
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
);

describe('fuzzed', () => {
  property('what was written is read back the same', async (holds) => {
    await holds(
      fc.property(LINK, (link) => {
        const json = JSON.parse(JSON.stringify([linkToWire(link)]));
        expect(parseGraph(json)).toEqual({ links: [JSON.parse(JSON.stringify(link))], errors: [] });
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
