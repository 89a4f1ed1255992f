/** Ingress: requirements of the host, and which of them can't have the address that they claim. */
import { describe, expect, it } from 'vitest';
import { brief, graphFrom, requires, services } from '../manifest/scratch.js';

const EXPORTS = {
  'p/services.json': services(
    { name: 'raw', type: 'unix', socket: '/run/raw.sock' },
    { name: 'api', type: 'rest', socket: '/run/api.sock' },
    { name: 'web', type: 'http', port: 8080 },
    { name: 'bus', type: 'dbus', socket: '/run/bus.sock' },
  ),
};

function ingress(...rules: object[]) {
  return graphFrom({ ...EXPORTS, 'device.json': { ingress: rules } });
}

const tcp = (external: string) => ({ type: 'tcp', external, service: 'raw' });
const http = (external: string, more: object = {}) => ({
  type: 'http',
  external,
  service: 'web',
  ...more,
});

describe('an ingress rule', () => {
  it('is a link of the host, pid 0, after those of the containers', () => {
    const { links } = graphFrom({
      ...EXPORTS,
      'z/run.json': requires('raw'),
      'device.json': { ingress: [{ name: 'public', ...tcp('0.0.0.0:2222') }] },
    });
    expect(links.map(({ consumer }) => consumer)).toEqual(['z', 'EXTERNAL']);
    expect(links[1]).toEqual({
      consumer: 'EXTERNAL',
      consumerPid: 0,
      provider: 'p',
      providerPid: 0,
      name: 'raw',
      type: 'tcp',
      role: 'any',
      interface: 'tcp',
      target: '0.0.0.0:2222',
      socket: '/run/raw.sock',
      transport: 'unix',
    });
  });

  it('without a type is what its service can be on an address', () => {
    const { links } = ingress(
      { external: '0.0.0.0:1', service: 'raw' },
      { external: '0.0.0.0:2/x', service: 'api' },
      { external: '0.0.0.0:3', service: 'web' },
    );
    expect(links.map(({ type }) => type)).toEqual(['tcp', 'http', 'http']);
  });

  it('to what can not be on an address is a problem', () => {
    const { links, problems } = ingress({ external: '0.0.0.0:1', service: 'bus' });
    expect(links).toEqual([]);
    expect(brief(problems)).toEqual(['error type-unserveable device.json:/ingress/0']);
  });

  it('may be refused by "allow" like any consumer', () => {
    const closed = { name: 'x', type: 'unix', socket: '/run/x', allow: ['container:EXTERNAL'] };
    const shut = { ...closed, name: 'y', allow: ['operator'] };
    const { links } = graphFrom({
      'p/services.json': services(closed, shut),
      'device.json': {
        ingress: [
          { type: 'tcp', external: '0.0.0.0:1', service: 'x' },
          { type: 'tcp', external: '0.0.0.0:2', service: 'y' },
        ],
      },
    });
    expect(links.map(({ error }) => error?.code)).toEqual([undefined, 'not-allowed']);
  });
});

describe('addresses', () => {
  const collides = (...rules: object[]) => {
    const { links, problems } = ingress(...rules);
    expect(links.length + problems.length).toBe(rules.length);
    for (const problem of problems) expect(problem.code).toBe('ingress-collision');
    return problems.map(({ pointer }) => pointer);
  };

  it.each([
    ['the same for two tcp rules', tcp('1.2.3.4:80'), tcp('1.2.3.4:80')],
    ['the same for tcp and http', tcp('0.0.0.0:80'), http('0.0.0.0:80/api')],
    ['the same, written differently', tcp('[::1]:80'), tcp('[0:0:0:0:0:0:0:1]:80')],
    ['a wildcard and one of its family', tcp('0.0.0.0:80'), http('127.0.0.1:80')],
    ['one and then the wildcard of its family', http('[::1]:80'), tcp('[::]:80')],
    [
      'the same prefix of http',
      http('0.0.0.0:80/api'),
      http('0.0.0.0:80/api/', { service: 'api' }),
    ],
    [
      'the same prefix and host of http',
      http('0.0.0.0:80', { host: 'a.example' }),
      http('0.0.0.0:80', { host: 'A.EXAMPLE', service: 'api' }),
    ],
  ])('collide: %s', (_, first, second) => {
    expect(collides(first, second)).toEqual(['/ingress/1']);
  });

  it.each([
    ['other ports', tcp('0.0.0.0:80'), tcp('0.0.0.0:81')],
    ['other addresses', tcp('127.0.0.1:80'), tcp('127.0.0.2:80')],
    ['the wildcards of two families', tcp('0.0.0.0:80'), tcp('[::]:80')],
    ['other prefixes of http', http('0.0.0.0:80/api'), http('0.0.0.0:80/apix')],
    [
      'other hosts of http',
      http('0.0.0.0:80', { host: 'a.b' }),
      http('0.0.0.0:80', { service: 'api' }),
    ],
  ])('do not collide: %s', (_, first, second) => {
    expect(collides(first, second)).toEqual([]);
  });

  it('that collide leave the first rule and all others standing', () => {
    expect(collides(http('0.0.0.0:80/a'), http('0.0.0.0:80/a'), http('0.0.0.0:80/b'))).toEqual([
      '/ingress/1',
    ]);
  });

  it('of two rules that only a host tells apart are one link, as the host is no part of its identity', () => {
    expect(
      collides(http('0.0.0.0:80', { host: 'a.b' }), http('0.0.0.0:80', { host: 'c.d' })),
    ).toEqual(['/ingress/1']);
  });
});
