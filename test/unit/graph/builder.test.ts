/** What the builder makes of requirements: defaults, resolution, types, targets, permission, the hosted bus. */
import { describe, expect, it } from 'vitest';
import { buildGraph, type GraphOptions } from '../../../src/graph/builder.js';
import { SERVES } from '../../../src/graph/compatibility.js';
import { SERVICE_TYPES } from '../../../src/graph/link.js';
import { brief, graphFrom, requires, revisionFrom, services } from '../manifest/scratch.js';

const RAW = { name: 'raw', type: 'unix', socket: '/run/raw.sock' };

function link(service: object, requirement: unknown, options?: GraphOptions) {
  const graph = graphFrom(
    { 'p/services.json': services(service), 'c/run.json': requires(requirement) },
    options,
  );
  expect(graph.problems).toEqual([]);
  expect(graph.links).toHaveLength(1);
  return graph.links[0];
}

describe('defaults', () => {
  it('fill in all that a bare name leaves open', () => {
    expect(link(RAW, 'raw')).toEqual({
      consumer: 'c',
      consumerPid: 0,
      provider: 'p',
      providerPid: 0,
      name: 'raw',
      type: 'unix',
      role: 'any',
      interface: 'unix',
      target: '/run/pv/services/raw.sock',
      socket: '/run/raw.sock',
    });
  });

  it("are the provider's own path for drm and input", () => {
    const card = { name: 'card', type: 'drm', socket: '/dev/dri/card0' };
    expect(link(card, 'card')?.target).toBe('/dev/dri/card0');
    const keys = { name: 'keys', type: 'input', socket: '/dev/input/event0' };
    expect(link(keys, { name: 'keys', mode: 'fd' })).toMatchObject({
      target: '/dev/input/event0',
      device: 'fd',
    });
  });

  it('give way to what is declared', () => {
    const requirement = {
      name: 'raw',
      type: 'rest',
      role: 'web',
      interface: 'org.x',
      target: '/a/b',
    };
    expect(link(RAW, requirement)).toMatchObject({
      type: 'rest',
      role: 'web',
      interface: 'org.x',
      target: '/a/b',
    });
  });

  it("carry a unix service's mode and fds, to unix consumers only", () => {
    expect(link({ ...RAW, mode: 'seqpacket', fds: false }, 'raw')).toMatchObject({
      mode: 'seqpacket',
      fds: false,
    });
    const rest = link({ ...RAW, fds: false }, { name: 'raw', type: 'rest' });
    expect(rest).not.toHaveProperty('fds');
  });
});

describe('pids', () => {
  const revision = revisionFrom({
    'p/services.json': services(RAW),
    'c/run.json': requires('raw'),
  });

  it('are filled in by container, and 0 where none is known or it is no pid', () => {
    const graph = buildGraph(
      revision,
      new Map([
        ['c', 12],
        ['p', -4],
      ]),
    );
    expect(graph.links[0]).toMatchObject({ consumerPid: 12, providerPid: 0 });
  });

  it('decide nothing else', () => {
    const running = buildGraph(revision, new Map([['c', 12]]));
    const stopped = buildGraph(revision, new Map());
    expect(running.links.map((one) => ({ ...one, consumerPid: 0 }))).toEqual(stopped.links);
  });
});

describe('a requirement that nothing can meet', () => {
  const unmetOf = (required: unknown, services_: unknown = RAW) =>
    graphFrom({ 'a/services.json': services(services_), 'c/run.json': required }).unmet;

  it('is there, and says why, with the nearest name', () => {
    expect(unmetOf(requires('rwa'))).toEqual([
      {
        ...{ consumer: 'c', consumerPid: 0, provider: '', providerPid: 0, name: 'rwa' },
        ...{ type: '', role: 'any', interface: '', socket: '' },
        target: '/run/pv/services/rwa.sock',
        error: {
          code: 'requirement-unmet',
          message:
            'c/run.json:/services/required/0: found no container that exports "rwa", expected one (did you mean "raw" of a?).',
        },
      },
    ]);
  });

  it('is marked where that may be so', () => {
    expect(unmetOf({ services: { optional: ['rwa'] } })).toMatchObject([{ optional: true }]);
  });

  it('is one whose target another one has, or whose type is not served, too', () => {
    const twice = [
      { name: 'raw', target: '/x' },
      { name: 'raw', target: '//x' },
    ];
    expect(unmetOf({ services: { required: twice } })).toMatchObject([
      { name: 'raw', target: '//x', error: { message: expect.stringContaining('taken by') } },
    ]);
    expect(unmetOf(requires({ name: 'raw', type: 'drm' }))).toMatchObject([{ type: 'drm' }]);
  });

  it('is none that has a link by the same name, and is there once', () => {
    const same = [
      { name: 'raw', target: '/x' },
      { name: 'raw', target: '/x' },
    ];
    expect(unmetOf({ services: { required: same } })).toEqual([]);
    expect(unmetOf({ services: { required: ['rwa', 'rwa'] } })).toHaveLength(1);
  });
});

describe('two exporters of one name', () => {
  const files = {
    'a/services.json': services(RAW),
    'b/services.json': services(RAW),
    'c/run.json': requires('raw'),
  };

  it('are a problem and no link, whoever of them runs', () => {
    const revision = revisionFrom(files);
    const running = [
      [],
      [['a', 1]],
      [['b', 2]],
      [
        ['a', 1],
        ['b', 2],
      ],
    ] as [string, number][][];
    for (const pids of running) {
      const { links, problems } = buildGraph(revision, new Map(pids));
      expect(links).toEqual([]);
      expect(brief(problems)).toEqual(['error provider-ambiguous c/run.json:/services/required/0']);
    }
  });

  it('are told apart by "provider"', () => {
    const { links } = graphFrom({
      ...files,
      'c/run.json': requires({ name: 'raw', provider: 'b' }),
    });
    expect(links).toMatchObject([{ provider: 'b' }]);
  });
});

describe('the type table', () => {
  const provided = (type: string) => {
    if (type === 'tcp' || type === 'http') return { name: 'x', type, port: 80 };
    return { name: 'x', type, socket: '/run/x' };
  };

  for (const provider of SERVICE_TYPES) {
    it(`serves ${provider} as ${SERVES[provider].join(', ')} and nothing else`, () => {
      for (const type of SERVICE_TYPES) {
        const target = type === 'tcp' || type === 'http' ? '127.0.0.1:80' : '/run/y';
        const { links, problems } = graphFrom({
          'p/services.json': services(provided(provider)),
          'c/run.json': requires({ name: 'x', type, target }),
        });
        const served = SERVES[provider].includes(type);
        expect(links.map((one) => one.type)).toEqual(served ? [type] : []);
        expect(problems.map(({ code }) => code)).toEqual(served ? [] : ['type-unserveable']);
      }
    });
  }

  it('says the transport where it differs from the type', () => {
    const target = '127.0.0.1:8080';
    expect(link(RAW, { name: 'raw', type: 'tcp', target })).toMatchObject({ transport: 'unix' });
    const web = { name: 'web', type: 'http', port: 80 };
    expect(link(web, { name: 'web', type: 'rest' })).toMatchObject({ transport: 'tcp' });
    expect(link(web, { name: 'web', target })).not.toHaveProperty('transport');
    expect(link(RAW, { name: 'raw', type: 'rest' })).not.toHaveProperty('transport');
  });

  it('does not take records or datagrams apart', () => {
    const { problems } = graphFrom({
      'p/services.json': services({ ...RAW, mode: 'dgram' }),
      'c/run.json': requires({ name: 'raw', type: 'rest' }),
    });
    expect(problems).toMatchObject([{ code: 'type-unserveable', expected: 'one of unix' }]);
  });
});

describe('the socket of a provider with a port', () => {
  const web = { name: 'web', type: 'tcp', port: 80 };
  const requirement = { name: 'web', target: '127.0.0.1:80' };

  it.each([
    ['its pool address', '10.0.3.2', '10.0.3.2:80'],
    ['its IPv6 pool address in brackets', 'fd00::2', '[fd00::2]:80'],
    ['127.0.0.1 where its address is none', 'pool-2', '127.0.0.1:80'],
  ])('is %s', (_, address, socket) => {
    expect(link(web, requirement, { addresses: new Map([['p', address]]) })?.socket).toBe(socket);
  });

  it('is 127.0.0.1 without one', () => {
    expect(link(web, requirement)?.socket).toBe('127.0.0.1:80');
  });
});

describe('several requirements of one service', () => {
  it('are links of their own, each with its role', () => {
    const { links, problems } = graphFrom({
      'p/services.json': services(RAW),
      'c/run.json': requires('raw', { name: 'raw', role: 'admin', target: '/run/admin.sock' }),
    });
    expect(problems).toEqual([]);
    expect(links.map(({ role, target }) => [role, target])).toEqual([
      ['any', '/run/pv/services/raw.sock'],
      ['admin', '/run/admin.sock'],
    ]);
  });

  it('of two containers may have the same target', () => {
    const files = { 'p/services.json': services(RAW), 'c/run.json': requires('raw') };
    expect(graphFrom({ ...files, 'd/run.json': requires('raw') }).problems).toEqual([]);
  });
});

describe('allow', () => {
  const build = (allow: string[], requirement: object, place = 'required') =>
    graphFrom({
      'p/services.json': services({ ...RAW, allow }),
      'c/run.json': { services: { [place]: [{ name: 'raw', ...requirement }] } },
    });

  it.each([
    ['its role', ['operator'], { role: 'operator' }],
    ['its container', ['container:c'], {}],
    ['the role any', ['any'], {}],
  ])('lets a consumer in by %s', (_, allow, requirement) => {
    const { links, problems } = build(allow, requirement);
    expect(problems).toEqual([]);
    expect(links[0]).not.toHaveProperty('error');
  });

  it.each([
    ['another role', ['operator'], { role: 'monitor' }],
    ['another container', ['container:d'], {}],
    ['nobody', [], {}],
  ])('leaves a failed link for %s', (_, allow, requirement) => {
    const { links, problems } = build(allow, requirement);
    expect(links[0]?.error).toMatchObject({ code: 'not-allowed' });
    const errors = problems.filter(({ severity }) => severity === 'error');
    expect(errors).toMatchObject([{ code: 'not-allowed' }]);
  });

  it('is a notice for an optional requirement', () => {
    const { problems } = build([], {}, 'optional');
    expect(problems).toMatchObject([{ code: 'not-allowed', severity: 'notice' }]);
  });

  it('can not be met by a role that is spelled like a container', () => {
    const { links } = build(['container:d'], { role: 'container:d' });
    expect(links[0]?.error).toMatchObject({ code: 'not-allowed' });
  });
});

describe('the hosted bus', () => {
  const hostedBus = { socket: '/run/pv-xconnect/bus', uids: new Map([['root', 200_000]]) };
  const files = { 'c/run.json': requires({ name: 'system-bus', role: 'root' }) };

  it('provides system-bus when it is on', () => {
    const { links, problems } = graphFrom(files, { hostedBus });
    expect(problems).toEqual([]);
    expect(links).toMatchObject([
      {
        provider: '_pv_',
        providerPid: 0,
        type: 'dbus',
        socket: '/run/pv-xconnect/bus',
        target: '/run/pv/services/system-bus.sock',
        uid: 200_000,
      },
    ]);
  });

  it('does not when it is off: then a container may', () => {
    expect(brief(graphFrom(files).problems)).toEqual([
      'error service-missing c/run.json:/services/required/0',
    ]);
    const bus = { name: 'system-bus', type: 'dbus', socket: '/run/dbus/system_bus_socket' };
    const { links } = graphFrom({ ...files, 'p/services.json': services(bus) });
    expect(links).toMatchObject([{ provider: 'p', socket: '/run/dbus/system_bus_socket' }]);
  });

  it('is what a requirement of _pv_ means, and serves dbus only', () => {
    const wanted = (more: object) => ({ 'c/run.json': requires({ name: 'system-bus', ...more }) });
    expect(graphFrom(wanted({ provider: '_pv_' }), { hostedBus }).links).toHaveLength(1);
    expect(graphFrom(wanted({ type: 'rest' }), { hostedBus }).problems).toMatchObject([
      { code: 'type-unserveable' },
    ]);
  });
});
