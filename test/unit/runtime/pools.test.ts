/** Pools whose tools hang: `ip` is a script here, so nothing of the machine is touched. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Lease } from '../../../src/runtime/address-plan.js';
import { Pools } from '../../../src/runtime/pools.js';

const LEASE: Lease = {
  pool: {
    ...{ name: 'internal', bridge: 'pvx-no-bridge', network: 0xcb007100n, bits: 24, width: 32 },
    ...{ gateway: 0xcb007101n, nat: false },
  },
  name: 'eth0',
  ip: '203.0.113.2',
  mac: '02:00:cb:00:71:02',
};

const PATH = process.env.PATH;
let folder: string;

/** What `ip` does, given its arguments. */
function ip(script: string): void {
  writeFileSync(join(folder, 'ip'), `#!/bin/sh\necho "$*" >>${folder}/called\n${script}\n`);
  chmodSync(join(folder, 'ip'), 0o755);
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-pools-'));
  process.env.PATH = `${folder}:${PATH}`;
});
afterEach(() => {
  process.env.PATH = PATH;
  rmSync(folder, { recursive: true });
});

test('a pool whose tool hangs can not be made, is undone, and is tried again', async () => {
  ip(`[ "$1 $2" != "addr add" ] || exec sleep 600; [ "$1 $2" != "link del" ] || >${folder}/undone`);
  const pools = new Pools(undefined, { makeMs: 2_000, closeMs: 10_000 });
  const fault = await pools.provide([LEASE]);
  expect(fault).toBe("the pool internal can't be made: that took more than 2 s");
  expect(existsSync(join(folder, 'undone'))).toBe(true);
  ip('');
  expect(await pools.provide([LEASE])).toBeNull();
  await pools.close();
});

test('a pool that hangs when it is taken away holds nobody up', async () => {
  ip('[ "$1 $2" != "link del" ] || exec sleep 600');
  const pools = new Pools(undefined, { makeMs: 10_000, closeMs: 1 });
  expect(await pools.provide([LEASE])).toBeNull();
  await pools.close();
});

test('where there is no nft a pool is made all the same, and what it lacks is said', async () => {
  ip('');
  for (const tool of ['sh', 'cat']) {
    const found = execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' });
    symlinkSync(found.trim(), join(folder, tool));
  }
  process.env.PATH = folder;
  const said: string[] = [];
  for (const nat of [false, true]) {
    const pools = new Pools((line) => said.push(line), { makeMs: 10_000, closeMs: 10_000 });
    expect(await pools.provide([{ ...LEASE, pool: { ...LEASE.pool, nat } }])).toBeNull();
    await pools.close();
  }
  expect(said).toEqual([
    'The pool internal is without nft: not kept apart from other pools: install nftables.',
    'The pool internal is without nft: no NAT, and not kept apart from other pools: install nftables.',
  ]);
});

test('a pool that another revision declares otherwise is made anew', async () => {
  ip('');
  const pools = new Pools(undefined, { makeMs: 10_000, closeMs: 10_000 });
  expect(await pools.provide([LEASE])).toBeNull();
  expect(await pools.provide([{ ...LEASE, pool: { ...LEASE.pool } }])).toBeNull();
  expect(await pools.provide([{ ...LEASE, pool: { ...LEASE.pool, bits: 25 } }])).toBeNull();
  await pools.close();
  const called = readFileSync(join(folder, 'called'), 'utf8').split('\n');
  const changes = called.filter((line) => /^(link (add|del)|addr)/.test(line));
  expect(changes.map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
    'link add name',
    'addr add 203.0.113.1/24',
    'link del pvx-no-bridge',
    'link add name',
    'addr add 203.0.113.1/25',
    'link del pvx-no-bridge',
  ]);
});
