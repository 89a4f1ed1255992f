/** What can't be packed: an object that is not what its name says, or is not there. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pack } from '../../../../src/runtime/pack/pack.js';
import { STATE, writeExport, writeFiles } from '../../manifest/scratch.js';

const SHA = 'a'.repeat(64);
const json = { ...STATE, 'web/run.json': { type: 'lxc' }, 'web/root.squashfs': SHA };

test.each([
  [
    'has other bytes than its name says',
    { [`objects/${SHA}`]: 'other bytes' },
    /^web\/root.squashfs: found for the object/,
  ],
  ['is not there', {}, /^web\/root.squashfs is the object a{64}, which is not in it\.$/],
])('a folder with an export in it, of which an object %s', async (_what, objects, why) => {
  const folder = await writeFiles({ 'own/run.json': { exec: ['true'] } });
  await writeExport(join(folder, 'web.pvrexport.tgz'), { json, ...objects });
  const output = join(folder, 'out.tgz');
  const packed = await pack(folder, { output });
  expect(packed).toEqual({
    ok: false,
    why: expect.stringContaining(`${folder} can't be packed: `),
  });
  expect(packed.ok ? '' : packed.why.slice(`${folder} can't be packed: `.length)).toMatch(why);
  expect(existsSync(output)).toBe(false);
});
