/** Archives that no `tar` makes: members that are no files, that have other names, come twice, or lie about their size. */
import { createHash } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { takeObjects } from '../../../src/manifest/objects.js';
import { readRevision } from '../../../src/manifest/reader.js';
import { ObjectStore } from '../../../src/runtime/storage/object-store.js';
import { STATE, scratchFolder } from './scratch.js';

const BYTES = Buffer.from('the root of a container\n');
const SHA = createHash('sha256').update(BYTES).digest('hex');
const NAME = `objects/${SHA}`;
const BLOCK = 512;

interface Member {
  readonly name: string;
  readonly type?: string;
  readonly link?: string;
  readonly bytes?: Buffer;
  /** What the header says; absent: how many there are. */
  readonly size?: number;
}

/** One member in the form of POSIX (ustar). */
function member({
  name,
  type = '0',
  link = '',
  bytes = BYTES,
  size = bytes.length,
}: Member): Buffer {
  const head = Buffer.alloc(BLOCK);
  const put = (text: string, at: number) => head.write(text, at, 'latin1');
  const octal = (value: number, at: number, length: number) =>
    put(value.toString(8).padStart(length - 1, '0'), at);
  put(name, 0);
  octal(0o644, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  put(type, 156);
  put(link, 157);
  put('ustar\u000000', 257);
  head.fill(' ', 148, 156);
  octal(
    head.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return Buffer.concat([head, bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);
}

async function takenFrom(...members: readonly Member[]) {
  const folder = await scratchFolder();
  const path = join(folder, 'x.pvrexport');
  const json = Buffer.from(JSON.stringify({ ...STATE, 'web/root.squashfs': SHA }));
  const all = [member({ name: 'json', bytes: json }), ...members.map(member)];
  await writeFile(path, Buffer.concat([...all, Buffer.alloc(2 * BLOCK)]));
  const store = new ObjectStore(join(folder, 'objects'));
  const { problems } = await takeObjects([path], (await readRevision(path)).state, store);
  const stored = await readdir(dirname(store.pathOf(SHA))).catch(() => []);
  return { stored, codes: problems.map(({ code }) => code) };
}

describe('an object of an archive', () => {
  test('is taken as it is', async () => {
    expect(await takenFrom({ name: NAME })).toEqual({ stored: [SHA], codes: [] });
    expect(await takenFrom({ name: `./${NAME}`, type: '7' })).toEqual({ stored: [SHA], codes: [] });
  });

  test.each([
    ['a hard link', { name: NAME, type: '1', link: '/etc/passwd', bytes: Buffer.alloc(0) }],
    ['a symbolic link', { name: NAME, type: '2', link: '/etc/passwd', bytes: Buffer.alloc(0) }],
    ['a character device', { name: NAME, type: '3', bytes: Buffer.alloc(0) }],
    ['a block device', { name: NAME, type: '4', bytes: Buffer.alloc(0) }],
    ['a folder', { name: NAME, type: '5', bytes: Buffer.alloc(0) }],
    ['a pipe', { name: NAME, type: '6', bytes: Buffer.alloc(0) }],
    ['a sparse file of GNU', { name: NAME, type: 'S' }],
    ['an absolute name', { name: `/${NAME}` }],
    ['a name that leads out', { name: `../${NAME}` }],
    ['a name that leads out and back', { name: `objects/../${NAME}` }],
    ['a newline behind its name', { name: `${NAME}\n` }],
    ['another name within it', { name: `${NAME}/x` }],
    ['a name in capitals', { name: `objects/${SHA.toUpperCase()}` }],
  ] satisfies [string, Member][])(
    'is not taken from %s, and the next member is',
    async (_what, one) => {
      expect((await takenFrom(one)).stored).toEqual([]);
      expect((await takenFrom(one, { name: NAME })).stored).toEqual([SHA]);
    },
  );

  test('that comes twice is taken where it is right, and is told where it is not', async () => {
    const wrong = { name: NAME, bytes: Buffer.from('other bytes') };
    for (const members of [
      [wrong, { name: NAME }],
      [{ name: NAME }, wrong],
    ]) {
      expect((await takenFrom(...members)).stored).toEqual([SHA]);
    }
    expect((await takenFrom(wrong, wrong)).codes).toEqual(['object-wrong', 'object-wrong']);
  });

  test('that says to be larger than the archive leaves nothing', async () => {
    for (const size of [BYTES.length + 5 * BLOCK, 8 * 1024 ** 3 - 1]) {
      expect((await takenFrom({ name: NAME, size })).stored).toEqual([]);
    }
  });
});
