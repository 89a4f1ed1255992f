import { describe, expect, test } from 'vitest';
import { PROBLEM_REMEDIES } from '../../../src/manifest/problem.js';
import type { NetworkPool } from '../../../src/manifest/revision.js';
import { type BakedNetwork, planAddresses } from '../../../src/runtime/address-plan.js';
import { runtimeSettings } from '../../../src/runtime/container-settings.js';
import { fc, property } from '../../support/property.js';
import { revisionFrom } from '../manifest/scratch.js';

const INTERNAL: NetworkPool = {
  name: 'internal',
  type: 'bridge',
  bridge: 'pvbr0',
  subnet: '10.0.5.0/24',
  gateway: '10.0.5.1',
  nat: true,
};

/** Plans for containers by name, each with its network, or the pool alone that it wants; undefined: none. */
function plan(
  pools: readonly NetworkPool[],
  wanted: Record<string, string | object | undefined>,
  rootless = false,
  baked = new Map<string, BakedNetwork>(),
) {
  const files = Object.entries(wanted).map(([name, pool]) => [
    `${name}/run.json`,
    {
      exec: ['true'],
      ...(pool === undefined ? {} : { network: typeof pool === 'string' ? { pool } : pool }),
    },
  ]);
  const { containers } = runtimeSettings(revisionFrom(Object.fromEntries(files)));
  return planAddresses(pools, containers, { rootless, baked });
}

describe('the plan of addresses', () => {
  const reported = new Set<string>();
  const problemsOf = (...args: Parameters<typeof plan>) => {
    const { problems } = plan(...args);
    for (const { code } of problems) reported.add(code);
    return problems.map(({ code, file, pointer }) => `${code} ${file}:${pointer}`);
  };

  test('gives each container that wants one the next address behind the gateway, by name', () => {
    const { leases, problems } = plan([INTERNAL], { b: 'internal', a: 'internal', c: undefined });
    expect(problems).toEqual([]);
    expect([...leases].map(([name, [first]]) => [name, first?.ip, first?.mac])).toEqual([
      ['a', '10.0.5.2', '02:00:0a:00:05:02'],
      ['b', '10.0.5.3', '02:00:0a:00:05:03'],
    ]);
  });

  test('goes on before the gateway when there is nothing behind it', () => {
    const pool = { ...INTERNAL, subnet: '192.168.7.200/29', gateway: '192.168.7.206' };
    const wanted = Object.fromEntries([...'abcdef'].map((name) => [name, 'internal']));
    const { leases } = plan([pool], wanted);
    expect([...leases.values()].map(([first]) => first?.ip)).toEqual([
      '192.168.7.201',
      '192.168.7.202',
      '192.168.7.203',
      '192.168.7.204',
      '192.168.7.205',
    ]);
    expect(problemsOf([pool], wanted)).toEqual(['pool-exhausted f/run.json:/network/pool']);
  });

  test('the gateway of a pool that names none is its first address', () => {
    const { leases } = plan(
      [{ name: 'internal', type: 'bridge', bridge: 'x', subnet: '10.9.0.0/16' }],
      {
        a: 'internal',
      },
    );
    expect(leases.get('a')?.[0]?.ip).toBe('10.9.0.2');
  });

  test.each([
    [{ type: 'macvlan' }, 'type'],
    [{ bridge: 'a bridge' }, 'bridge'],
    [{ bridge: 'sixteen-letters-' }, 'bridge'],
    [{ bridge: '..' }, 'bridge'],
    [{ subnet: 'fd00::/20' }, 'subnet'],
    [{ subnet: 'fd00::/127' }, 'subnet'],
    [{ subnet: '10.0.0.0/31' }, 'subnet'],
    [{ gateway: '10.0.6.1' }, 'gateway'],
    [{ gateway: '10.0.5.255' }, 'gateway'],
    [{ gateway: 'fd00::1' }, 'gateway'],
  ])('a pool with %j can’t be made, and nobody gets an address of it', (fields, key) => {
    expect(problemsOf([{ ...INTERNAL, ...fields }], { a: 'internal' })).toEqual([
      `pool-invalid device.json:/network/pools/internal/${key}`,
      'pool-unknown a/run.json:/network/pool',
    ]);
  });

  test.each([
    [{ bridge: 'pvbr0', subnet: '10.0.6.0/24' }, 'bridge'],
    [{ bridge: 'pvbr1', subnet: '10.0.5.128/25' }, 'subnet'],
    [{ bridge: 'pvbr1', subnet: '10.0.0.0/8' }, 'subnet'],
  ])('a second pool with %j collides with the first, which stands', (fields, key) => {
    const second = { name: 'dmz', type: 'bridge', ...fields };
    expect(problemsOf([INTERNAL, second], { a: 'internal' })).toEqual([
      `pool-collision device.json:/network/pools/dmz/${key}`,
    ]);
    expect(plan([INTERNAL, second], { a: 'internal' }).leases.size).toBe(1);
  });

  test('a pool that no one declared is an error that names those that are there', () => {
    const { problems } = plan([INTERNAL], { a: 'external' });
    expect(problems[0]?.message).toBe(
      'found the pool "external", expected one of "internal": correct the name of the pool, or declare it in device.json.',
    );
  });

  test('a user who is not root can have none', () => {
    expect(problemsOf([INTERNAL], { a: 'internal', b: undefined }, true)).toEqual([
      'pool-rootless a/run.json:/network/pool',
    ]);
  });

  const FIXED = (...addresses: string[]) => ({
    pool: 'internal',
    interfaces: addresses.map((ipv4_address) => ({ ipv4_address })),
  });
  const ipsOf = (...args: Parameters<typeof plan>) =>
    [...plan(...args).leases].map(([name, own]) => [name, ...own.map(({ ip }) => ip)]);

  test('an address that is asked for is given to nobody else, whoever comes first by name', () => {
    expect(ipsOf([INTERNAL], { a: 'internal', b: FIXED('10.0.5.2', '10.0.5.9/24') })).toEqual([
      ['a', '10.0.5.3'],
      ['b', '10.0.5.2', '10.0.5.9'],
    ]);
  });

  test.each([
    ['of another network', '192.168.99.100'],
    ['with the length of another network', '10.0.5.9/16'],
    ['of the gateway', '10.0.5.1'],
    ['of the whole network', '10.0.5.0'],
    ['for everyone in it', '10.0.5.255'],
    ['of the other family', 'fd00::9'],
  ])('an address %s is an error of that container alone', (_what, address) => {
    expect(problemsOf([INTERNAL], { a: FIXED(address), b: 'internal' })).toEqual([
      'pool-address a/run.json:/network/interfaces/0/ipv4_address',
    ]);
    expect(ipsOf([INTERNAL], { a: FIXED(address), b: 'internal' })).toEqual([['b', '10.0.5.2']]);
  });

  test('of two that ask for one address or one MAC address, the first by name has it', () => {
    const wanted = { a: FIXED('10.0.5.9'), b: FIXED('10.0.5.9') };
    expect(problemsOf([INTERNAL], wanted)).toEqual([
      'pool-address b/run.json:/network/interfaces/0/ipv4_address',
    ]);
    const mac = { pool: 'internal', interfaces: [{ mac_address: '02:00:00:00:00:01' }] };
    const shared = plan([INTERNAL], { a: mac, b: mac });
    expect(shared.leases.get('a')?.[0]?.mac).toBe('02:00:00:00:00:01');
    expect(shared.problems.map(({ found }) => found)).toEqual(['02:00:00:00:00:01, which a has']);
    const group = { pool: 'internal', interfaces: [{ mac_address: '03:00:00:00:00:01' }] };
    expect(problemsOf([INTERNAL], { a: group })).toHaveLength(1);
  });

  test('an address in the configuration of another container is given to nobody', () => {
    const baked = new Map([['z', { hasInterfaces: true, addresses: ['10.0.5.2/24', '10.9.9.9'] }]]);
    expect(ipsOf([INTERNAL], { a: 'internal' }, false, baked)).toEqual([['a', '10.0.5.3']]);
    expect(problemsOf([INTERNAL], { a: FIXED('10.0.5.2') }, false, baked)).toEqual([
      'pool-address a/run.json:/network/interfaces/0/ipv4_address',
    ]);
    expect(problemsOf([INTERNAL], { z: 'internal' }, false, baked)).toEqual([
      'pool-baked z/run.json:/network/pool',
    ]);
  });

  const SIX: NetworkPool = { name: 'six', type: 'bridge', bridge: 'pvbr6', subnet: 'fd42:7::/64' };

  test('a container may have an interface in each of several pools, of both families', () => {
    const wanted = { a: { interfaces: [{ pool: 'internal' }, { name: 'lan', pool: 'six' }] } };
    expect(plan([INTERNAL, SIX], wanted).leases.get('a')).toMatchObject([
      { name: 'eth0', ip: '10.0.5.2', mac: '02:00:0a:00:05:02' },
      { name: 'lan', ip: 'fd42:7::2', mac: '02:06:00:00:00:02' },
    ]);
    const one = { a: { interfaces: [{ pool: 'internal' }, { pool: 'nowhere' }] } };
    expect(plan([INTERNAL, SIX], one).leases.size).toBe(0);
  });

  property('no address is given twice, and none outside its pool', async (holds) => {
    const wish = fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined });
    await holds(
      fc.property(fc.array(wish, { maxLength: 16 }), fc.integer({ min: 1, max: 14 }), (all, at) => {
        const pool = { ...INTERNAL, subnet: '10.0.5.0/28', gateway: `10.0.5.${at}` };
        const names = all.map((last, index) => [
          `c${String(index).padStart(2, '0')}`,
          last === undefined ? 'internal' : FIXED(`10.0.5.${last}`),
        ]);
        const { leases, problems } = plan([pool], Object.fromEntries(names));
        const given = [...leases.values()].flat().map(({ ip }) => Number(ip.split('.')[3]));
        expect(new Set(given).size).toBe(given.length);
        expect(given.every((last) => last > 0 && last < 15 && last !== at)).toBe(true);
        expect(leases.size + problems.length).toBe(all.length);
      }),
    );
  });

  test('no code is left without a case above', () => {
    const codes = Object.keys(PROBLEM_REMEDIES).filter((code) => code.startsWith('pool-'));
    expect([...reported].sort()).toEqual(codes.sort());
  });
});

describe('what a container says of its network', () => {
  const settings = (run: object, args: object = {}) => {
    const files = { 'a/run.json': { exec: ['true'], ...run }, 'a/args.json': args };
    const { containers, problems } = runtimeSettings(revisionFrom(files));
    const { interfaces, hostname, ownNetwork } = containers[0] as (typeof containers)[0];
    return {
      pool: interfaces[0]?.pool.value,
      from: interfaces[0]?.pool.place.file,
      hostname,
      ownNetwork,
      problems: problems.length,
    };
  };

  test('is in args.json, or in run.json, which wins', () => {
    const args = { PV_NETWORK_POOL: 'internal', PV_NETWORK_HOSTNAME: 'net-server' };
    const own = { ownNetwork: true, problems: 0 };
    expect(settings({}, args)).toEqual({
      ...own,
      pool: 'internal',
      from: 'a/args.json',
      hostname: 'net-server',
    });
    expect(settings({ network: { pool: 'dmz', hostname: 'x' } }, args)).toEqual({
      ...own,
      pool: 'dmz',
      from: 'a/run.json',
      hostname: 'x',
    });
    expect(settings({ network: { mode: 'none' } }, args)).toMatchObject({ pool: undefined });
    expect(settings({})).toMatchObject({ ownNetwork: false, hostname: 'a' });
  });

  test('is a problem where it is no name', () => {
    expect(settings({ network: { pool: 7 } })).toMatchObject({ pool: undefined, problems: 1 });
    expect(settings({ network: { hostname: 'a b' } })).toMatchObject({
      hostname: 'a',
      problems: 1,
    });
  });
});
