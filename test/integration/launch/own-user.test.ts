/** Users that nobody else has: how one is picked, and whom it keeps away from. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compile } from '../../support/compile.js';
import { isRoot } from '../../support/requirements.js';

const pathOf = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const DRIVER = pathOf('../../support/own-user.c');
const SOURCE = pathOf('../../../native/supervisor/own-user.c');
const FIRST = 0x7f00_0000;
const LAST = 0x7f00_ffff;
const ALL = '0-4294967294';

let program: string;
beforeAll(() => {
  program = compile('own-user', [DRIVER], ['-Wno-unused-function'], [SOURCE]);
});

const folder = mkdtempSync(join(tmpdir(), 'pvx-own-user-'));
afterAll(() => rmSync(folder, { recursive: true }));

const run = (...args: string[]) =>
  execFileSync(program, args, { encoding: 'utf8' }).trim().split('\n').filter(Boolean);
const pick = (share: number, { users = ALL, groups = ALL, taken = '' } = {}) =>
  Number(run('pick', String(share), users, groups, taken)[0]);
function rangesOf(kind: string, text: string): string[] {
  writeFileSync(join(folder, 'file'), text);
  return run(kind, join(folder, 'file'));
}

describe('the user of its own', () => {
  test('is any of a block that nobody hands out', () => {
    expect(pick(0)).toBe(FIRST);
    expect(pick(999)).toBe(FIRST + Math.floor(0.999 * 65_536));
  });

  test('is the next one where somebody has it, from the beginning again at the end', () => {
    expect(pick(0, { taken: `${FIRST}-${FIRST},${FIRST + 1}-${FIRST + 1}` })).toBe(FIRST + 2);
    expect(pick(999, { taken: `${FIRST + 60_000}-${LAST}` })).toBe(FIRST);
  });

  test('in a user namespace is one of its own, of the upper ones, and of no service or nobody', () => {
    for (let share = 0; share < 1_000; share += 50) {
      const id = pick(share, { users: '0-65535', groups: '0-65535' });
      expect(id > 57_000 && id < 65_534 && !(id >= 61_184 && id <= 65_519)).toBe(true);
    }
  });

  test('has a group of the same number', () => {
    expect(pick(990, { users: '0-2000', groups: '0-1500' })).toBeLessThanOrEqual(1_500);
  });

  test('is none where all are taken, and never root', () => {
    const inside = { users: '0-3', groups: '0-3' };
    expect(pick(0, { ...inside, taken: '1-3' })).toBe(-1);
    expect(pick(0, { ...inside, taken: '1-1,2-2' })).toBe(3);
  });

  test('keeps away from users, groups and what is below them, whatever the files hold', () => {
    const passwd = 'root:x:0:0::/:/bin/sh\nx::7:8:::\n\n+::::::\nbad\nb:x:y:1\nc:x:-1:1\n';
    expect(rangesOf('table', passwd)).toEqual(['0-0', '7-7']);
    expect(rangesOf('table', 'wheel:x:10:root\nempty:x::\n')).toEqual(['10-10']);
    expect(rangesOf('subordinate', 'user:100000:65536\nbad\nx:y:z\nn:5:0\n')).toEqual([
      '100000-165535',
    ]);
  });

  test('reads maps of user namespaces from either side, and the ids of processes', () => {
    const map = '         0       1000          1\n         1     100000      65536\n';
    expect(rangesOf('inside', map)).toEqual(['0-0', '1-65536']);
    expect(rangesOf('outside', map)).toEqual(['1000-1000', '100000-165535']);
    expect(rangesOf('outside', '0 0 4294967295\n')).toEqual([]); // that tells nothing
    expect(rangesOf('inside', '')).toEqual([]);
    const status = 'Name:\tx\nUid:\t1\t1\t2\t2\nGid:\t3\t3\t3\t3\nGroups:\t9\n';
    expect(rangesOf('owners', status)).toEqual(['1-1', '2-2', '3-3']);
  });

  test.runIf(isRoot())('is another one for each process that asks, while those live', async () => {
    const children = Array.from({ length: 8 }, () =>
      spawn(program, ['own', '200000', '265535'], { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    const picked = await Promise.all(
      children.map(async ({ stdout }) => {
        const ids: number[] = [];
        for await (const line of createInterface(stdout)) {
          ids.push(Number(line));
          if (ids.length === 2) break;
        }
        return ids;
      }),
    );
    const ids = picked.flat();
    expect(new Set(ids).size).toBe(16);
    expect(ids.every((id) => id >= FIRST && id <= LAST)).toBe(true);
    const locks = readFileSync('/proc/locks', 'utf8');
    for (const id of ids) expect(locks).toMatch(new RegExp(`OFDLCK.* ${id} ${id}$`, 'm'));
    for (const child of children) {
      child.stdin.end();
      await once(child, 'exit');
    }
  });
});
