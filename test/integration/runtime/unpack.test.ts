/** Roots that are unpacked by the real unsquashfs: whole, within their limits, or not at all. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { limitsOf, unpackSquashfs } from '../../../src/runtime/engines/lxc/unpack.js';
import { has, isRoot } from '../../support/requirements.js';

describe.runIf(isRoot() && has('mksquashfs') && has('unsquashfs'))('a squashfs', () => {
  let folder: string;
  let image: string;
  let to: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pvx-unpack-'));
    [image, to] = [join(folder, 'image'), join(folder, 'to')];
    const root = join(folder, 'root');
    mkdirSync(join(root, 'a folder'), { recursive: true });
    for (let i = 0; i < 20; i++)
      writeFileSync(join(root, 'a folder', `file\n-${i}`), 'x'.repeat(100));
    execFileSync('mknod', [join(root, 'null'), 'c', '1', '3']);
    execFileSync('mksquashfs', [root, image, '-quiet', '-no-progress']);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('is unpacked as it is', async () => {
    expect(limitsOf(image)).toEqual({ entries: 500_000, bytes: 1024 ** 3 });
    expect(await unpackSquashfs(image, to)).toMatchObject({ ok: true });
    expect(readFileSync(join(to, 'a folder/file\n-7'), 'utf8')).toHaveLength(100);
  });

  test.each([
    [
      'files and folders',
      { entries: 20, bytes: 1024 ** 3 },
      'it has more than 20 files and folders',
    ],
    [
      'bytes',
      { entries: 1_000, bytes: 1_999 },
      'its files have more than 0 MiB, the most for an image of that size',
    ],
    ['bytes', { entries: 1_000, bytes: 2_000 }, null],
  ])('with too many %s is not begun (%j)', async (_what, limits, why) => {
    const unpacked = await unpackSquashfs(image, to, limits);
    expect(unpacked).toEqual(why === null ? { ok: true, value: undefined } : { ok: false, why });
    expect([existsSync(to), existsSync(`${to}.draft`)]).toEqual([why === null, false]);
  });

  test('that is cut off leaves nothing', async () => {
    writeFileSync(image, readFileSync(image).subarray(0, 200));
    expect(await unpackSquashfs(image, to)).toMatchObject({ ok: false });
    expect([existsSync(to), existsSync(`${to}.draft`)]).toEqual([false, false]);
  });
});
