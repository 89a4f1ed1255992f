/** One case at least for each problem code: its file, its pointer, and what is left of the revision. */
import { describe, expect, it } from 'vitest';
import { buildGraph, type GraphOptions } from '../../../src/graph/builder.js';
import { PROBLEM_REMEDIES, type Problem } from '../../../src/manifest/problem.js';
import { readRevision } from '../../../src/manifest/reader.js';
import { ENTRY_CASES, RAW, WORKING } from './entry-cases.js';
import { GRAPH_CASES } from './graph-cases.js';
import { brief, STATE, services, writeExport, writeFiles } from './scratch.js';

const seen = new Set<string>();

async function problemsAt(path: string, options?: GraphOptions) {
  const revision = await readRevision(path);
  const graph = buildGraph(revision, new Map(), options);
  const problems: Problem[] = [...revision.problems, ...graph.problems];
  for (const { code } of problems) seen.add(code);
  return { problems, graph, revision };
}

describe('each problem has its code, file and pointer', () => {
  for (const { title, files, problems, options, links } of [...ENTRY_CASES, ...GRAPH_CASES]) {
    it(`${title}: ${[...new Set(problems.map((text) => text.split(' ')[1]))].join(', ')}`, async () => {
      const found = await problemsAt(await writeFiles({ ...WORKING, ...files }), options);
      expect(brief(found.problems).sort()).toEqual([...problems].sort());
      const served = found.graph.links.filter(({ error }) => error?.code !== 'manifest-invalid');
      expect(served.map(({ name }) => name).sort()).toEqual([...(links ?? ['ok'])].sort());
      for (const { message } of found.problems)
        expect(message).toMatch(/^found .+, expected .+: .+\.$/);
    });
  }
});

describe('what is wrong with a revision as a whole', () => {
  it('is a path that is not there: path-missing', async () => {
    const path = `${await writeFiles({})}/absent`;
    const { problems, revision } = await problemsAt(path);
    expect(brief(problems)).toEqual([`error path-missing ${path}:`]);
    expect(revision.failed).toBe(true);
  });

  it('is a folder that holds no revision: path-missing', async () => {
    const path = await writeFiles({ 'readme.txt': 'nothing here' });
    expect(brief((await problemsAt(path)).problems)).toEqual([`error path-missing ${path}:`]);
  });

  it.each([
    ['a/run.json', 'run.json alone', 'the revision that it is of, %'],
    ['device.json', 'device.json alone', 'the revision that it is of, %'],
    ['a', 'the folder of one container', 'the one above it, %'],
    ['unpacked', 'an unpacked pvrexport', 'the state in it, %/unpacked/json'],
  ])('is a part of one, %s: path-missing, and what to give', async (part, found, expected) => {
    const files = { 'a/run.json': {}, 'device.json': {}, 'unpacked/json': STATE };
    const folder = await writeFiles(files);
    const { problems } = await problemsAt(`${folder}/${part}`);
    expect(brief(problems)).toEqual([`error path-missing ${folder}/${part}:`]);
    expect(problems[0]).toMatchObject({ found, expected: expected.replace('%', folder) });
  });

  it('is nothing where an export is a plain tar', async () => {
    const folder = await writeFiles({});
    const state = { json: { ...STATE, 'a/services.json': services(RAW) } };
    const path = await writeExport(`${folder}/a.pvrexport.tar`, state, false);
    for (const one of [path, folder]) {
      const { problems, revision } = await problemsAt(one);
      expect(problems).toEqual([]);
      expect(revision.containers[0]?.services).toHaveLength(1);
    }
  });

  it('is a file that can not be read: file-unreadable', async () => {
    expect(brief((await problemsAt('/dev/null')).problems)).toEqual([
      'error file-unreadable /dev/null:',
    ]);
  });

  it('is an archive without a state: archive-invalid', async () => {
    const path = await writeExport(`${await writeFiles({})}/x.tgz`, { 'objects/1': 'binary' });
    const { problems, revision } = await problemsAt(path);
    expect(brief(problems)).toEqual([`error archive-invalid ${path}:`]);
    expect(revision.failed).toBe(true);
  });

  it('is a key that two exports disagree on: key-overridden, and the later one wins', async () => {
    const folder = await writeFiles({});
    const state = (socket: string) => ({
      json: { ...STATE, 'a/services.json': services({ ...RAW, socket }) },
    });
    await writeExport(`${folder}/1.pvrexport.tgz`, state('/run/1.sock'));
    await writeExport(`${folder}/2.pvrexport.tgz`, state('/run/2.sock'));
    const { problems, revision } = await problemsAt(folder);
    expect(brief(problems)).toEqual(['notice key-overridden a/services.json:']);
    expect(revision.containers[0]?.services[0]?.socket).toBe('/run/2.sock');
  });

  it('is more than a person reads: problems-omitted counts the rest', async () => {
    const bad = Array.from({ length: 1500 }, () => 7);
    const { problems } = await problemsAt(
      await writeFiles({ 'a/services.json': services(...bad) }),
    );
    expect(problems).toHaveLength(1001);
    expect(problems.at(-1)).toMatchObject({
      code: 'problems-omitted',
      severity: 'error',
      found: '500 more problems, 500 of them errors',
    });
  });
});

it('no problem code is left without a case above', () => {
  // Those of network pools are the runtime's: test/unit/runtime/address-plan.test.ts; of engines: test/unit/docker.
  const others = /^(pool|label|image|container|group|object|lxc)-|^provider-scaled$/;
  const codes = Object.keys(PROBLEM_REMEDIES).filter((code) => !others.test(code));
  expect([...seen].sort()).toEqual(codes.sort());
});
