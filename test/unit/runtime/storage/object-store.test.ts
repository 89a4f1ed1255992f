import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ObjectStore } from '../../../../src/runtime/storage/object-store.js';

let folder: string;
let store: ObjectStore;

const shaOf = (text: string) => createHash('sha256').update(text).digest('hex');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-objects-'));
  store = new ObjectStore(join(folder, 'objects'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function* pieces(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

async function* cutOff(): AsyncGenerator<Buffer> {
  yield Buffer.from('hal');
  throw new Error('aborted');
}

const names = () => readdirSync(join(folder, 'objects')).sort();

describe('the store of objects', () => {
  test('keeps what has the hash that it is put under', async () => {
    const sha = shaOf('hello');
    expect(await store.put(sha, pieces('he', 'llo'), 5)).toEqual({ ok: true, isNew: true });
    expect(readFileSync(store.pathOf(sha), 'utf8')).toBe('hello');
    expect(await store.list()).toEqual([{ sha256: sha, size: 5 }]);
    expect(await store.sizeOf(sha)).toBe(5);
    expect(names()).toEqual([sha]);
  });

  test('says what hash it has found in place of another, and keeps nothing', async () => {
    const sha = shaOf('hello');
    const put = await store.put(sha, pieces('help'), undefined);
    expect(put).toMatchObject({ ok: false, kind: 'bad-checksum' });
    expect(put.ok ? '' : put.why).toContain(shaOf('help'));
    expect(names()).toEqual([]);
  });

  test('keeps nothing of what was cut off', async () => {
    expect(await store.put(shaOf('half'), cutOff(), 4)).toMatchObject({ kind: 'cut-off' });
    expect(names()).toEqual([]);
  });

  test('takes two puts of one object at once, of which each may be right or wrong', async () => {
    const sha = shaOf('hello');
    const puts = [pieces('hello'), pieces('h', 'ello'), pieces('other'), cutOff()];
    const results = await Promise.all(puts.map((bytes) => store.put(sha, bytes, undefined)));
    expect(results.map(({ ok }) => ok)).toEqual([true, true, false, false]);
    expect(names()).toEqual([sha]);
    expect(readFileSync(store.pathOf(sha), 'utf8')).toBe('hello');
  });

  test('does not write again what is there, and refuses wrong bytes for it', async () => {
    const sha = shaOf('hello');
    await store.put(sha, pieces('hello'), undefined);
    expect(await store.put(sha, pieces('hello'), 5)).toEqual({ ok: true, isNew: false });
    expect(await store.put(sha, pieces('other'), 5)).toMatchObject({ kind: 'bad-checksum' });
    expect(readFileSync(store.pathOf(sha), 'utf8')).toBe('hello');
  });

  test('refuses at once what the disk has no room for', async () => {
    const put = await store.put(shaOf('x'), pieces('x'), 2 ** 60);
    expect(put).toMatchObject({ ok: false, kind: 'no-space' });
  });

  test('collects what nobody needs, and sweeps away what a killed process left', async () => {
    const [kept, gone] = [shaOf('kept'), shaOf('gone')];
    await store.put(kept, pieces('kept'), undefined);
    await store.put(gone, pieces('gone'), undefined);
    writeFileSync(join(folder, 'objects', `.${gone}.123.4`), 'part');
    expect(await store.collect((sha) => sha === kept, Date.now() - 60_000)).toBe(0);
    expect(await store.collect((sha) => sha === kept, Date.now() + 1_000)).toBe(4);
    await store.sweep();
    expect(names()).toEqual([kept]);
  });

  test.each(['', '..', '../../etc/passwd', 'A'.repeat(64), `${'a'.repeat(63)}/`])(
    'has no object %j',
    async (name) => {
      expect(await store.sizeOf(name)).toBeUndefined();
    },
  );
});
