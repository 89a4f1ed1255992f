/** Pools whose tools hang: `ip` is a script here, so nothing of the machine is touched. */
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Lease } from '../../../src/runtime/address-plan.js';
import { Pools } from '../../../src/runtime/pools.js';

const LEASE: Lease = {
  pool: {
    ...{ name: 'internal', bridge: 'pvx-no-bridge', network: 0xcb007100, bits: 24 },
    ...{ gateway: 0xcb007101, nat: false },
  },
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
  const pools = new Pools({ makeMs: 2_000, closeMs: 10_000 });
  const fault = await pools.provide([LEASE]);
  expect(fault).toBe("the pool internal can't be made: that took more than 2 s");
  expect(existsSync(join(folder, 'undone'))).toBe(true);
  ip('');
  expect(await pools.provide([LEASE])).toBeNull();
  await pools.close();
});

test('a pool that hangs when it is taken away holds nobody up', async () => {
  ip('[ "$1 $2" != "link del" ] || exec sleep 600');
  const pools = new Pools({ makeMs: 10_000, closeMs: 1 });
  expect(await pools.provide([LEASE])).toBeNull();
  await pools.close();
});
