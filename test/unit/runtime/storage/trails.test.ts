import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { objectsOf } from '../../../../src/manifest/objects.js';
import { localName, Trails } from '../../../../src/runtime/storage/trails.js';

let folder: string;
let trails: Trails;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-trails-'));
  trails = new Trails(join(folder, 'trails'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const STATE = { '#spec': 'pantavisor-service-system@1', 'web/run.json': { exec: ['web'] } };

describe('the trails', () => {
  test('have nothing before anything was put', () => {
    expect(trails.list()).toEqual([]);
    expect(trails.boot).toBeNull();
    expect(trails.state('0')).toBeUndefined();
  });

  test('keep states, progress and messages, in order of the names', async () => {
    await trails.put('locals/b', STATE);
    await trails.put('locals/a', STATE);
    await trails.put('0', STATE);
    await trails.setMessage('locals/a', 'better');
    await trails.setProgress('0', 'DONE', 'Factory revision');
    expect(new Trails(join(folder, 'trails')).list()).toEqual([
      {
        name: '0',
        date: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        commitmsg: '',
        progress: { status: 'DONE', 'status-msg': 'Factory revision', progress: 100, retries: 0 },
      },
      expect.objectContaining({ name: 'locals/a', commitmsg: 'better' }),
      expect.objectContaining({
        name: 'locals/b',
        progress: {
          status: 'NEW',
          'status-msg': 'Update ready to be run',
          progress: 0,
          retries: 0,
        },
      }),
    ]);
    expect(trails.state('locals/a')).toEqual(STATE);
  });

  test('remember which revision runs and which one is being tried', async () => {
    await trails.setBoot({ done: '0', trying: 'locals/a' });
    expect(new Trails(join(folder, 'trails')).boot).toEqual({ done: '0', trying: 'locals/a' });
    await trails.setBoot({ done: 'locals/a', trying: null });
    expect(trails.boot).toEqual({ done: 'locals/a', trying: null, before: '0' });
  });

  test('that are damaged are none, rather than a failure', async () => {
    await trails.put('0', STATE);
    writeFileSync(join(folder, 'trails/0/.pvr/json'), '{"half');
    writeFileSync(join(folder, 'trails/boot'), '');
    expect(trails.boot).toBeNull();
    expect(trails.state('0')).toBeUndefined();
  });

  test('are laid out as Pantavisor does it', async () => {
    await trails.put('locals/a', STATE);
    const file = join(folder, 'trails/locals/a/.pvr/json');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(STATE);
  });

  test('know the objects that a state names', () => {
    const [a, b] = ['a'.repeat(64), 'b'.repeat(64)];
    const state = {
      ...STATE,
      'web/root.squashfs': a,
      '_config/web/etc/motd': b,
      'bsp/kernel.img': 'c'.repeat(64),
      '_sigs/web.json': 'd'.repeat(64),
      'web/note': 'no hash',
    };
    expect([...objectsOf(state)]).toEqual([
      ['web/root.squashfs', a],
      ['_config/web/etc/motd', b],
    ]);
  });

  test.each(['', '.', '..', '.hidden', 'a/b', 'x'.repeat(201), 'line\nbreak'])(
    'have no revision named %j',
    (name) => {
      expect(localName(name)).toBeUndefined();
    },
  );
});
