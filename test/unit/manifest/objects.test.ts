/** Objects of a revision, taken out of archives and folders: each with its hash, and nothing else. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAX_UNPACK_RATIO, MIN_UNPACKED } from '../../../src/manifest/limits.js';
import {
  HashCheck,
  type ObjectSink,
  objectsOf,
  takeObjects,
} from '../../../src/manifest/objects.js';
import { readRevision } from '../../../src/manifest/reader.js';
import { ObjectStore } from '../../../src/runtime/storage/object-store.js';
import { fc, property } from '../../support/property.js';
import { someBytes } from '../../support/some-bytes.js';
import { brief, STATE, scratchFolder, writeExport, writeFiles } from './scratch.js';

const sha = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');
const ROOT = someBytes(300_000);
const CONF = 'lxc.init.cmd = /init\n';
const state = (more: object = {}) => ({
  ...STATE,
  'web/run.json': { type: 'lxc' },
  'web/root.squashfs': sha(ROOT),
  'web/lxc.container.conf': sha(CONF),
  ...more,
});

/** Keeps what it is given, after a look at the hash. */
class Kept implements ObjectSink {
  readonly objects = new Map<string, Buffer>();

  async put(sha256: string, bytes: AsyncIterable<Buffer>) {
    const chunks: Buffer[] = [];
    for await (const chunk of bytes) {
      chunks.push(Buffer.from(chunk));
      await new Promise((resolve) => setImmediate(resolve)); // slower than whoever reads
    }
    const whole = Buffer.concat(chunks);
    if (sha(whole) !== sha256) return { ok: false, why: 'other bytes' } as const;
    this.objects.set(sha256, whole);
    return { ok: true } as const;
  }
}

/** The keys whose objects are not among those. */
function missing(there: ReadonlySet<string>): string[] {
  return [...objectsOf(state())].filter(([, one]) => !there.has(one)).map(([key]) => key);
}

async function taken(path: string, sink: ObjectSink = new Kept()) {
  const revision = await readRevision(path);
  return takeObjects([path], revision.state, sink);
}

describe('the objects of a pvrexport', () => {
  for (const gzip of [true, false]) {
    for (const order of ['before', 'after']) {
      it(`are taken ${order} the state of one that is ${gzip ? 'gzipped' : 'plain'}`, async () => {
        const objects = {
          [`objects/${sha(ROOT)}`]: ROOT,
          [`objects/${sha(CONF)}`]: CONF,
          [`objects/${sha('nobody')}`]: 'nobody',
        };
        const json = { json: state() };
        const members = order === 'before' ? { ...objects, ...json } : { ...json, ...objects };
        const path = await writeExport(`${await scratchFolder()}/a.tgz`, members, gzip);
        const sink = new Kept();
        const found = await taken(path, sink);
        expect(found.problems).toEqual([]);
        expect([...sink.objects.keys()].sort()).toEqual([sha(ROOT), sha(CONF)].sort());
        expect(sink.objects.get(sha(ROOT))?.equals(ROOT)).toBe(true);
        expect(missing(found.taken)).toEqual([]);
      });
    }
  }

  it('that have other bytes are refused by name, and the others are taken', async () => {
    const members = {
      json: state(),
      [`objects/${sha(ROOT)}`]: ROOT.subarray(1),
      [`objects/${sha(CONF)}`]: CONF,
    };
    const path = await writeExport(`${await scratchFolder()}/a.tgz`, members);
    for (const sink of [new Kept(), new HashCheck()]) {
      const found = await taken(path, sink);
      expect(brief(found.problems)).toEqual(['error object-wrong web/root.squashfs:']);
      expect([...found.taken]).toEqual([sha(CONF)]);
    }
  });

  it('that are not in it are missed by the key that names them', async () => {
    const path = await writeExport(`${await scratchFolder()}/a.tgz`, { json: state() });
    const { taken: there } = await taken(path);
    expect(missing(there)).toEqual(['web/root.squashfs', 'web/lxc.container.conf']);
  });

  it('are those of containers and their configuration, not of the board or of signatures', () => {
    const more = { 'bsp/kernel.img': sha('k'), '_sigs/x': sha('s'), '_config/web/etc/x': sha('c') };
    expect([...objectsOf(state(more)).keys()]).toEqual([
      'web/root.squashfs',
      'web/lxc.container.conf',
      '_config/web/etc/x',
    ]);
  });
});

describe('the files of a folder', () => {
  it('become objects: those beside the manifests of a container, and all below _config', async () => {
    const folder = await writeFiles({
      'web/run.json': { type: 'lxc' },
      'web/src.json': {},
      'web/root.squashfs': ROOT,
      'web/root/etc/passwd': 'no object: it is in a folder',
      '_config/web/etc/deep/er.conf': 'x=1',
      '_config/web/etc/a.json': { a: 1 },
      'bsp/kernel.img': 'k',
      '.git/config': 'x',
    });
    await symlink('/etc/passwd', `${folder}/web/passwd`);
    await mkdir(`${folder}/_config/web/run`);
    const sink = new Kept();
    const found = await taken(folder, sink);
    expect(found.state).toEqual({
      '_config/web/etc/a.json': sha('{"a":1}'),
      '_config/web/etc/deep/er.conf': sha('x=1'),
      'web/root.squashfs': sha(ROOT),
    });
    expect([...sink.objects.keys()].sort()).toEqual(Object.values(found.state).sort());
  });

  it('are beside those of the exports in it', async () => {
    const folder = await scratchFolder();
    await writeExport(`${folder}/a.pvrexport.tgz`, {
      json: state(),
      [`objects/${sha(CONF)}`]: CONF,
    });
    expect([...(await taken(folder)).taken]).toEqual([sha(CONF)]);
  });
});

property('whatever an archive is, its objects are taken or told', async (holds) => {
  const folder = await scratchFolder();
  const whole = await writeExport(
    `${folder}/whole`,
    { json: state(), [`objects/${sha(ROOT)}`]: ROOT },
    false,
  );
  const { readFile } = await import('node:fs/promises');
  const bytes = await readFile(whole);
  const edit = fc.record({ at: fc.nat(4096), to: fc.nat(255), cut: fc.nat(bytes.length) });
  await holds(
    fc.asyncProperty(edit, async ({ at, to, cut }) => {
      const damaged = Buffer.from(bytes.subarray(0, cut));
      if (at < damaged.length) damaged[at] = to;
      await writeFile(`${folder}/damaged`, damaged);
      const found = await takeObjects([`${folder}/damaged`], state(), new Kept());
      for (const one of found.taken) expect(one).toBe(sha(ROOT));
    }),
  );
});

describe('an archive that ends in the middle of an object', () => {
  /** What stores objects keeps those that are whole, and no draft. */
  async function stored(path: string, revision: object) {
    const store = new ObjectStore(join(await scratchFolder(), 'objects'));
    const { problems } = await takeObjects([path], revision as Record<string, unknown>, store);
    const names = await readdir(dirname(store.pathOf('x'))).catch(() => []);
    return { names, codes: problems.map(({ code }) => code) };
  }

  it.each([true, false])('leaves nothing of it (gzip: %s)', async (gzip) => {
    const path = join(await scratchFolder(), 'cut.pvrexport');
    await writeExport(path, { json: state(), [`objects/${sha(ROOT)}`]: ROOT }, gzip);
    await truncate(path, 150_000);
    expect((await stored(path, state())).names).toEqual([]);
  });

  it('leaves nothing of one that unpacks to far more than an archive of its size may', async () => {
    const path = join(await scratchFolder(), 'bomb.pvrexport');
    const zeros = Buffer.alloc(MIN_UNPACKED + 1);
    const bomb = { ...STATE, 'web/root.squashfs': sha(zeros) };
    await writeExport(path, { json: bomb, [`objects/${sha(zeros)}`]: zeros });
    expect((await stat(path)).size * MAX_UNPACK_RATIO).toBeLessThan(MIN_UNPACKED);
    const { codes, names } = await stored(path, bomb);
    expect([codes.includes('archive-invalid'), names]).toEqual([true, []]);
  });
});

it('a file of a folder is not read again where nobody wants its bytes', async () => {
  const folder = await writeFiles({ 'web/run.json': { type: 'lxc' }, 'web/root.squashfs': ROOT });
  const sink = new (class extends Kept {
    wants = (one: string) => one !== sha(ROOT);
  })();
  const { state: named, taken: all } = await takeObjects([folder], {}, sink);
  expect(named).toEqual({ 'web/root.squashfs': sha(ROOT) });
  expect([all.has(sha(ROOT)), sink.objects.size]).toEqual([true, 0]);
});
