/** The shapes that a revision comes in, and what hostile ones can't do. */
import { execFileSync } from 'node:child_process';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readRevision, readRevisions } from '../../../src/manifest/reader.js';
import { someBytes } from '../../support/some-bytes.js';
import {
  brief,
  readBytes,
  requires,
  STATE,
  scratchFolder,
  services,
  writeExport,
  writeFiles,
} from './scratch.js';

const RAW = services({ name: 'raw', type: 'unix', socket: '/run/raw.sock' });
const FILES = {
  'client/args.json': { PV_SERVICES_REQUIRED: ['raw'] },
  'server/run.json': { '#spec': 'service-manifest-run@1' },
  'server/services.json': RAW,
  'device.json': { groups: [{ name: 'root', status_goal: 'STARTED', timeout: 30 }] },
};

describe('a revision reads the same as', () => {
  it('a folder, a state file, a pvrexport and a folder of pvrexports', async () => {
    const root = await scratchFolder();
    const state = { ...STATE, ...FILES, 'server/root.squashfs': 'a'.repeat(64) };
    await writeFiles({ 'state.json': state }, root);
    await mkdir(`${root}/exports`);
    await writeExport(`${root}/exports/a.pvrexport.tgz`, { 'objects/1': 'x', json: state });
    const folder = await readRevision(await writeFiles(FILES));
    const others = await Promise.all(
      ['state.json', 'exports', 'exports/a.pvrexport.tgz'].map((at) =>
        readRevision(`${root}/${at}`),
      ),
    );
    expect(folder.problems).toEqual([]);
    expect(folder.containers.map(({ name }) => name)).toEqual(['client', 'server']);
    expect(folder.state).toEqual({ ...STATE, ...FILES });
    for (const other of others) {
      expect(other).toMatchObject({ containers: folder.containers, device: folder.device });
      expect(other.problems).toEqual([]);
      expect(other.state).toEqual(state);
    }
  });

  it('a symbolic link to any of them, as the operator named it', async () => {
    const root = await scratchFolder();
    await symlink(await writeFiles(FILES), `${root}/current`);
    expect((await readRevision(`${root}/current`)).containers).toHaveLength(2);
  });

  it('an archive whose member is ./json, or comes last', async () => {
    const root = await scratchFolder();
    const folder = await writeFiles({
      json: { ...STATE, ...FILES },
      'objects/1': 'x'.repeat(99_999),
    });
    execFileSync('tar', ['-C', folder, '-czf', `${root}/a.tgz`, './objects', './json']);
    expect((await readRevision(`${root}/a.tgz`)).containers).toHaveLength(2);
  });
});

describe('merging', () => {
  it('takes the exports of a folder in name order beside its own manifests', async () => {
    const root = await writeFiles({ 'local/services.json': RAW });
    await writeExport(`${root}/b.pvrexport.tgz`, { json: { ...STATE, 'b/run.json': {} } });
    await writeExport(`${root}/a.pvrexport.tgz`, { json: { ...STATE, 'a/run.json': {} } });
    const revision = await readRevision(root);
    expect(revision.containers.map(({ name }) => name)).toEqual(['a', 'b', 'local']);
    expect(revision.problems).toEqual([]);
  });

  it('takes several paths in the order given, and is silent about what is equal', async () => {
    const one = await writeFiles({
      'state.json': { ...STATE, 'a/run.json': {}, 'b/run.json': {} },
    });
    const two = await writeFiles({
      'state.json': { ...STATE, 'a/run.json': {}, 'b/run.json': requires('raw') },
    });
    const revision = await readRevisions([`${one}/state.json`, `${two}/state.json`]);
    expect(brief(revision.problems)).toEqual(['notice key-overridden b/run.json:']);
    expect(revision.containers[1]?.requirements).toHaveLength(1);
  });

  it('keeps the good exports where one is broken, and says that nothing is missing but that', async () => {
    const root = await writeFiles({ 'broken.pvrexport.tgz': 'not gzip' });
    await writeExport(`${root}/good.pvrexport.tgz`, { json: { ...STATE, 'a/run.json': {} } });
    const revision = await readRevision(root);
    expect(brief(revision.problems)).toEqual(['error archive-invalid broken.pvrexport.tgz:']);
    expect(revision).toMatchObject({ containers: [{ name: 'a' }] });
    expect(revision.failed).toBeUndefined();
  });
});

describe('in a folder', () => {
  it('a symbolic link, a FIFO, a socket or a folder in place of a manifest is refused by name', async () => {
    const secret = await writeFiles({ 'services.json': RAW });
    const root = await writeFiles({
      'ok/services.json': RAW,
      'a/x': '',
      'b/x': '',
      'c/x': '',
      'd/x': '',
    });
    await symlink(`${secret}/services.json`, `${root}/a/services.json`);
    execFileSync('mkfifo', [`${root}/b/services.json`]);
    await mkdir(`${root}/c/services.json`);
    const server = createServer().listen(`${root}/d/services.json`);
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const revision = await readRevision(root);
    expect(revision.problems.map(({ file, found }) => `${file} ${found}`)).toEqual([
      'a/services.json a symbolic link',
      'b/services.json a FIFO',
      'c/services.json a folder',
      'd/services.json a socket',
    ]);
    expect(revision.containers.map(({ name }) => name)).toEqual(['ok']);
  });

  it('a link to a folder elsewhere is no container, and a link to a file is nothing', async () => {
    const root = await writeFiles({ 'ok/services.json': RAW });
    await symlink(await writeFiles(FILES), `${root}/away`);
    await symlink(await writeFiles({}), `${root}/.hidden`);
    await symlink('/etc/passwd', `${root}/README`);
    const revision = await readRevision(root);
    expect(brief(revision.problems)).toEqual(['error file-unreadable away:']);
  });

  it("what is Pantavisor's own is no container", async () => {
    const files = {
      'bsp/run.json': { linux: 'x' },
      '_config/a/run.json': {},
      '.pvr/args.json': {},
    };
    const revision = await readRevision(await writeFiles({ ...files, 'device.json': {} }));
    expect(revision.containers).toEqual([]);
    expect(revision.problems).toEqual([]);
  });

  it('a folder that is swapped while it is read never leads out of it', async () => {
    const outside = await writeFiles({
      'services.json': services({ name: 'leak', type: 'rest', socket: '/x/y' }),
    });
    const root = await writeFiles({ 'a/services.json': RAW });
    await symlink(outside, `${root}/link`);
    let stop = false;
    const swapping = (async () => {
      while (!stop) {
        await rename(`${root}/a`, `${root}/real`);
        await rename(`${root}/link`, `${root}/a`);
        await rename(`${root}/a`, `${root}/link`);
        await rename(`${root}/real`, `${root}/a`);
      }
    })();
    for (let round = 0; round < 100; round++) {
      const revision = await readRevision(root);
      const names = revision.containers.flatMap((one) => one.services.map(({ name }) => name));
      expect(names).not.toContain('leak');
    }
    stop = true;
    await swapping;
  });

  it('all manifests together are bounded as a state is', async () => {
    const big = `{"x":"${'x'.repeat(1024 * 1024 - 100)}"}`;
    const files = Array.from({ length: 18 }, (_, at) => [`c${at + 10}/run.json`, big]);
    const revision = await readRevision(await writeFiles(Object.fromEntries(files)));
    expect(revision.containers).toHaveLength(16);
    expect(brief(revision.problems)).toEqual([
      'error file-too-large c26/run.json:',
      'error file-too-large c27/run.json:',
    ]);
  });
});

describe('of a state', () => {
  it.each([
    ['another spec', { '#spec': 'pantavisor-service-system@2' }, 'spec-wrong', '/#spec'],
    ['no spec', { 'a/run.json': {} }, 'spec-wrong', ''],
    ['an array', [STATE], 'shape-wrong', ''],
  ])('%s is refused by name', async (_, state, code, pointer) => {
    const path = `${await writeFiles({ 'state.json': JSON.stringify(state) })}/state.json`;
    const revision = await readRevision(path);
    expect(brief(revision.problems)).toEqual([`error ${code} ${path}:${pointer}`]);
    expect(revision.failed).toBe(true);
  });

  it('over 16 MiB nothing is read', async () => {
    const path = `${await scratchFolder()}/state.json`;
    await writeFile(path, Buffer.alloc(16 * 1024 * 1024 + 1, ' '));
    expect(brief((await readRevision(path)).problems)).toEqual([`error file-too-large ${path}:`]);
  });

  it('a manifest over 1 MiB is refused by name, and the others are read', async () => {
    const path = `${await scratchFolder()}/state.json`;
    const state = {
      ...STATE,
      'a/run.json': { x: 'x'.repeat(1024 * 1024) },
      'b/services.json': RAW,
    };
    await writeFile(path, JSON.stringify(state));
    const revision = await readRevision(path);
    expect(brief(revision.problems)).toEqual(['error file-too-large a/run.json:']);
    expect(revision.containers.map(({ name }) => name)).toEqual(['b']);
  });

  it('the keys __proto__ and constructor are names like any other', async () => {
    const path = `${await scratchFolder()}/state.json`;
    const text = `{"#spec":"${STATE['#spec']}","__proto__":{"polluted":1},"__proto__/run.json":{"__proto__":{"services":{"required":["x"]}}},"constructor/services.json":${JSON.stringify(RAW)}}`;
    await writeFile(path, text);
    const revision = await readRevision(path);
    expect(revision.containers.map(({ name }) => name)).toEqual(['constructor']);
    expect(revision.problems).toEqual([]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(Object.getPrototypeOf(revision.state)).toBe(Object.prototype);
  });
});

describe('of an archive', () => {
  it('a decompression bomb is given up within its bound', async () => {
    const path = `${await scratchFolder()}/bomb.tgz`;
    const header = Buffer.alloc(512);
    header.write('objects/huge');
    header.write('0000644\0', 100);
    header.write('77777777777\0', 124);
    header.write('0', 156);
    header.write('ustar\x0000', 257);
    header.fill(' ', 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    const zeros = gzipSync(Buffer.alloc(16 * 1024 * 1024));
    await writeFile(path, Buffer.concat([gzipSync(header), ...Array(40).fill(zeros)]));
    const [problem] = (await readRevision(path)).problems;
    expect(problem).toMatchObject({ code: 'file-too-large', file: path });
  });

  it('gzip within gzip is refused', async () => {
    const root = await scratchFolder();
    const inner = await readBytes(await writeExport(`${root}/a.tgz`, { json: STATE }));
    await writeFile(`${root}/b.tgz`, gzipSync(inner));
    expect((await readRevision(`${root}/b.tgz`)).problems[0]).toMatchObject({
      code: 'archive-invalid',
      found: 'gzip within gzip',
    });
  });

  it('a json that is a link, and one that is cut off, are refused', async () => {
    const root = await scratchFolder();
    await symlink('/etc/passwd', `${root}/json`);
    execFileSync('tar', ['-C', root, '-czf', `${root}/link.tgz`, 'json']);
    const whole = await writeExport(
      `${root}/whole.tar`,
      { json: { ...STATE, x: 'y'.repeat(5000) } },
      false,
    );
    await writeFile(`${root}/cut.tgz`, gzipSync((await readBytes(whole)).subarray(0, 2048)));
    for (const name of ['link.tgz', 'cut.tgz']) {
      const revision = await readRevision(`${root}/${name}`);
      expect(revision.problems[0]).toMatchObject({ code: 'archive-invalid' });
      expect(revision.containers).toEqual([]);
    }
  });

  it('a file cut off within its gzip stream is refused', async () => {
    const root = await scratchFolder();
    const bytes = await readBytes(
      await writeExport(`${root}/a.tgz`, {
        json: { ...STATE, x: someBytes(9_000).toString('base64') },
      }),
    );
    await writeFile(`${root}/b.tgz`, bytes.subarray(0, 60));
    expect(brief((await readRevision(`${root}/b.tgz`)).problems)).toEqual([
      `error archive-invalid ${root}/b.tgz:`,
    ]);
  });
});
