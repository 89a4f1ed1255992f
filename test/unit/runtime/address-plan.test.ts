import { describe, expect, test } from 'vitest';
import { PROBLEM_REMEDIES } from '../../../src/manifest/problem.js';
import type { NetworkPool } from '../../../src/manifest/revision.js';
import { planAddresses } from '../../../src/runtime/address-plan.js';
import { runtimeSettings } from '../../../src/runtime/container-settings.js';
import { revisionFrom } from '../manifest/scratch.js';

const INTERNAL: NetworkPool = {
  name: 'internal',
  type: 'bridge',
  bridge: 'pvbr0',
  subnet: '10.0.5.0/24',
  gateway: '10.0.5.1',
  nat: true,
};

/** Plans for containers by name, each with the pool that it wants; undefined: none. */
function plan(
  pools: readonly NetworkPool[],
  wanted: Record<string, string | undefined>,
  rootless = false,
) {
  const files = Object.entries(wanted).map(([name, pool]) => [
    `${name}/run.json`,
    { exec: ['true'], ...(pool === undefined ? {} : { network: { pool } }) },
  ]);
  const { containers } = runtimeSettings(revisionFrom(Object.fromEntries(files)));
  return planAddresses(pools, containers, rootless);
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
    expect([...leases].map(([name, { ip, mac }]) => [name, ip, mac])).toEqual([
      ['a', '10.0.5.2', '02:00:0a:00:05:02'],
      ['b', '10.0.5.3', '02:00:0a:00:05:03'],
    ]);
  });

  test('goes on before the gateway when there is nothing behind it', () => {
    const pool = { ...INTERNAL, subnet: '192.168.7.200/29', gateway: '192.168.7.206' };
    const wanted = Object.fromEntries([...'abcdef'].map((name) => [name, 'internal']));
    const { leases } = plan([pool], wanted);
    expect([...leases.values()].map(({ ip }) => ip)).toEqual([
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
    expect(leases.get('a')?.ip).toBe('10.9.0.2');
  });

  test.each([
    [{ type: 'macvlan' }, 'type'],
    [{ bridge: 'a bridge' }, 'bridge'],
    [{ bridge: 'sixteen-letters-' }, 'bridge'],
    [{ bridge: '..' }, 'bridge'],
    [{ subnet: 'fd00::/64' }, 'subnet'],
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

  test('no code is left without a case above', () => {
    const codes = Object.keys(PROBLEM_REMEDIES).filter((code) => code.startsWith('pool-'));
    expect([...reported].sort()).toEqual(codes.sort());
  });
});

describe('what a container says of its network', () => {
  const settings = (run: object, args: object = {}) => {
    const files = { 'a/run.json': { exec: ['true'], ...run }, 'a/args.json': args };
    const { containers, problems } = runtimeSettings(revisionFrom(files));
    const { pool, hostname, ownNetwork } = containers[0] as (typeof containers)[0];
    return {
      pool: pool?.name,
      from: pool?.place.file,
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
