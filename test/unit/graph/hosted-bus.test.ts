/** The hosted bus in the graph: when it is needed, which roles it knows, and which calls start which container. */
import { describe, expect, it } from 'vitest';
import { busDeclarations, unhosted, wantsHostedBus } from '../../../src/graph/hosted-bus.js';
import { parseGraph } from '../../../src/graph/wire.js';
import { type Files, graphFrom, requires, revisionFrom, services } from '../manifest/scratch.js';

const ON_DEMAND = { activation: { mode: 'on-demand' } };
const OWN_BUS = { name: 'system-bus', type: 'dbus', socket: '/run/dbus/system_bus_socket' };
const hostedBus = { socket: '/run/bus', uids: new Map([['operator', 200_000]]) };

function owner(name: string, more: object = {}) {
  return { type: 'dbus', owns: `org.example.${name}`, role: 'owner', ...more };
}

function bus(role: string) {
  return requires({ name: 'system-bus', role });
}

describe('the hosted bus is', () => {
  it.each<[boolean, string, Files]>([
    [true, 'wanted where a name is owned on it', { 'a/services.json': services(owner('A')) }],
    [
      true,
      'wanted where a name is owned, though a container exports one of that name',
      { 'a/services.json': services(owner('A'), OWN_BUS) },
    ],
    [true, 'wanted where it is required and nobody exports it', { 'a/run.json': bus('any') }],
    [
      false,
      'not wanted where a container exports its own',
      { 'a/run.json': bus('any'), 'b/services.json': services(OWN_BUS) },
    ],
    [
      false,
      'not wanted by a name on another bus',
      { 'a/services.json': services(owner('A', { bus: 'session' })) },
    ],
    [
      false,
      'not wanted where another provider of it is named',
      { 'a/run.json': requires({ name: 'system-bus', provider: 'b' }) },
    ],
    [false, 'not wanted by nobody', {}],
  ])('%s: %s', (wanted, _, files) => {
    expect(wantsHostedBus(revisionFrom(files))).toBe(wanted);
    expect(unhosted(revisionFrom(files)).hostedBus !== undefined).toBe(wanted);
  });
});

it('everybody who can be on the bus has a role there', () => {
  const { names, roles } = busDeclarations(
    revisionFrom({
      'a/services.json': services(owner('A', { allow: ['operator', 'container:c'] })),
      'b/services.json': services(owner('A'), owner('B', { bus: 'session', role: 'other' })),
      'c/run.json': requires({ name: 'system-bus', role: 'monitor' }, 'raw'),
    }),
  );
  expect(names.map(({ name, container }) => `${name} ${container}`)).toEqual(['org.example.A a']);
  expect(roles).toEqual(['monitor', 'operator', 'owner']);
});

describe('a link to the hosted bus', () => {
  const files = {
    'a/services.json': services(
      owner('A', { ...ON_DEMAND, allow: ['operator'] }),
      owner('B', { ...ON_DEMAND, allow: ['monitor'] }),
      owner('C', ON_DEMAND),
      owner('D', { allow: ['operator'] }),
    ),
  };
  const linkOf = (role: string, uids = hostedBus.uids) =>
    graphFrom({ ...files, 'c/run.json': bus(role) }, { hostedBus: { ...hostedBus, uids } })
      .links[0];

  it('starts what its role may call', () => {
    expect(linkOf('operator')?.activates).toEqual(['org.example.A', 'org.example.C']);
    expect(linkOf('stranger')?.activates).toEqual(['org.example.C']);
    expect(linkOf('owner')?.activates).toEqual(['org.example.A', 'org.example.B', 'org.example.C']);
  });

  it('has an error where no uid is left for its role', () => {
    expect(linkOf('operator')?.error).toBeUndefined();
    expect(linkOf('stranger')?.error).toMatchObject({ code: 'bus-uid' });
  });

  it('has the error of a bus that can not be had', () => {
    const error = { code: 'bus-off', message: 'No dbus-daemon.' } as const;
    const { links } = graphFrom(
      { 'c/run.json': bus('any') },
      { hostedBus: { socket: '/x', error } },
    );
    expect(links).toMatchObject([{ provider: '_pv_', error }]);
  });
});

describe('the graph of a foreign runtime', () => {
  const LINK = {
    consumer: 'c',
    consumer_pid: 1,
    provider: '_pv_',
    provider_pid: 0,
    name: 'system-bus',
    type: 'dbus',
    role: 'operator',
    interface: 'dbus',
    target: '/run/dbus/system_bus_socket',
    socket: '/run/pv/dbus/system_bus_socket',
    uid: 90_001,
  };
  const about = (name: unknown, socket: unknown = LINK.socket) => ({
    activatable: name,
    bus: 'system-bus',
    owner: 'a',
    socket,
  });

  it('may say which names are started on demand between its links', () => {
    const { links, errors } = parseGraph([
      about('org.example.A'),
      LINK,
      { ...LINK, target: '/run/other', socket: '/run/another/bus' },
      { ...LINK, target: '/run/third', activates: [] },
      { ...LINK, target: '/run/fourth', provider: 'p' },
      about('org.example.B'),
      { consumes: 'org.example.A', consumer: 'c', owner: 'a', bus: 'system-bus' },
    ]);
    expect(errors).toEqual([]);
    expect(links.map(({ activates }) => activates)).toEqual([
      ['org.example.A', 'org.example.B'],
      undefined,
      [],
      undefined,
    ]);
  });

  it('is not misled by what is no name', () => {
    const odd = [about(7), about('x'), about('org.example.A', 7), about(null)];
    expect(parseGraph([LINK, ...odd]).links[0]?.activates).toBeUndefined();
  });

  it.each([
    ['a text', 'org.example.A'],
    ['what is no name', ['x']],
    ['a number', [7]],
  ])('is refused where "activates" is %s', (_, activates) => {
    expect(parseGraph([{ ...LINK, activates }])).toMatchObject({
      links: [{ error: { code: 'runtime-answer' } }],
      errors: [expect.stringContaining('/activates')],
    });
  });
});
