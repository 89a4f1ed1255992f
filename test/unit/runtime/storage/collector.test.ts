import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Collector } from '../../../../src/runtime/storage/collector.js';
import { Storage } from '../../../../src/runtime/storage/storage.js';

const STATE = { '#spec': 'pantavisor-service-system@1' };
const HOUR_MS = 3_600_000;
const shaOf = (text: string) => createHash('sha256').update(text).digest('hex');

let folder: string;
let storage: Storage;
let collector: Collector;
let busy: string | undefined;
let startedIn: string[];
let now: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-collector-'));
  storage = new Storage(folder);
  [busy, startedIn, now] = [undefined, [], Date.now() + HOUR_MS];
  collector = new Collector({
    storage,
    current: () => storage.trails.boot?.done ?? '0',
    startedIn: () => startedIn,
    busyWith: () => busy,
    now: () => now,
  });
});
afterEach(() => rmSync(folder, { recursive: true }));

async function object(text: string): Promise<string> {
  await storage.objects.put(
    shaOf(text),
    (async function* () {
      yield Buffer.from(text);
    })(),
    undefined,
  );
  return shaOf(text);
}

/** A revision with an object of its own, which has come that far. */
async function step(name: string, status: 'NEW' | 'DONE' | 'ERROR'): Promise<void> {
  await storage.trails.put(name, { ...STATE, 'web/root.squashfs': await object(name) });
  await storage.trails.setProgress(name, status, '');
  if (status === 'DONE') await storage.trails.setBoot({ done: name, trying: null });
}

const revisions = () => storage.trails.list().map(({ name }) => name);
const objects = async () => (await storage.objects.list()).map(({ sha256 }) => sha256).sort();

describe('collecting', () => {
  test('keeps what runs, what worked before it, the first one, and what is still to be taken up', async () => {
    await step('0', 'DONE');
    await step('locals/old', 'DONE');
    await step('locals/good', 'DONE');
    await step('locals/wrong', 'ERROR');
    await step('locals/runs', 'DONE');
    await step('locals/next', 'NEW');
    await object('of nobody');
    const left = ['0', 'locals/good', 'locals/next', 'locals/runs'];
    expect(await collector.run()).toBe(
      'locals/old'.length + 'locals/wrong'.length + 'of nobody'.length,
    );
    expect(revisions()).toEqual(left);
    expect(await objects()).toEqual(left.map(shaOf).sort());
    expect(await collector.run()).toBe(0);
  });

  test('takes logs, volumes and unpacked roots along, but for those of containers that still run', async () => {
    await step('locals/old', 'DONE');
    await step('locals/older', 'DONE');
    await step('locals/good', 'DONE');
    await step('locals/runs', 'DONE');
    const paths = ['old', 'older', 'runs'].flatMap((name) => [
      join(folder, 'logs/locals', name),
      join(folder, 'revisions', `locals-${name}`),
      join(folder, 'roots', shaOf(`locals/${name}`)),
    ]);
    for (const path of paths) {
      mkdirSync(path, { recursive: true });
      writeFileSync(join(path, 'file'), '12345');
    }
    startedIn = ['locals/old'];
    expect(await collector.run()).toBe('locals/old'.length + 'locals/older'.length + 4 * 5);
    expect(revisions()).toEqual(['locals/good', 'locals/runs']);
    expect(paths.filter((path) => existsSync(path))).toEqual([
      paths[0],
      paths[1],
      ...paths.slice(6),
    ]);
  });

  test('counts the files of folders within each other, and follows no link', async () => {
    const root = join(folder, 'roots', shaOf('no revision names it'));
    for (let i = 0; i < 3; i++) {
      mkdirSync(join(root, `usr/${i}`), { recursive: true });
      writeFileSync(join(root, `usr/${i}/file`), '12345');
    }
    symlinkSync('usr', join(root, 'lib'));
    expect(await collector.run()).toBe(3 * 5);
    expect(existsSync(root)).toBe(false);
  });

  test('leaves what was put a moment ago, also where it was there before: a step may be about to name it', async () => {
    await object('new');
    now = Date.now();
    expect(await collector.run()).toBe(0);
    now = Date.now() + HOUR_MS;
    await object('new');
    now = Date.now() + 60_000;
    expect(await collector.run()).toBe(0);
    expect(await objects()).toEqual([shaOf('new')]);
  });

  test('is refused while something is under way', async () => {
    busy = 'The revision locals/x is being taken up: try again.';
    await object('of nobody');
    await expect(collector.run()).rejects.toMatchObject({ status: 503, message: busy });
    expect(await objects()).toHaveLength(1);
  });

  test('waits for whatever changes the revisions, and looks at what there is then', async () => {
    const sha = await object('named in time');
    const put = storage.changes.run(() => storage.trails.put('locals/x', { ...STATE, 'a/b': sha }));
    expect(await collector.run()).toBe(0);
    await put;
    expect(await objects()).toEqual([sha]);
  });

  test('what a kill has left half of a revision is swept away', async () => {
    await step('locals/x', 'DONE');
    mkdirSync(join(folder, 'trails/locals/.y.1.1/.pvr'), { recursive: true });
    await storage.sweep();
    expect(readdirSync(join(folder, 'trails/locals'))).toEqual(['x']);
  });
});
