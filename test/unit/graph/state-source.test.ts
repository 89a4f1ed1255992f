/** The state source on real files: when it builds a graph, what it reports, and when the last graph stays. */
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { GraphSnapshot } from '../../../src/graph/link.js';
import { Looker } from '../../../src/graph/looker.js';
import { StateSource } from '../../../src/graph/state-source.js';
import type { XConnectError } from '../../../src/kernel/errors.js';
import { createLogger } from '../../../src/kernel/log.js';
import type { Problem } from '../../../src/manifest/problem.js';
import { eventually, pause } from '../../support/wait.js';
import { requires, STATE, scratchFolder, services, writeFiles } from '../manifest/scratch.js';

const RAW = { name: 'raw', type: 'unix', socket: '/run/raw.sock' };
const FILES = { 'p/services.json': services(RAW), 'c/run.json': requires('raw') };
/** In which nothing may happen: long enough for a look that is under way, and for a poll. */
const QUIET_MS = 1500;

interface Watched {
  readonly source: StateSource;
  readonly graphs: GraphSnapshot[];
  readonly failures: XConnectError[];
  readonly problems: (readonly Problem[])[];
  recovered: number;
}

function watchState(statePath: string, pidsPath?: string): Watched {
  const log = createLogger('silent');
  const source = new StateSource({ statePath, log, ...(pidsPath ? { pidsPath } : {}) });
  const seen: Watched = { source, graphs: [], failures: [], problems: [], recovered: 0 };
  source.on('graph', (graph) => seen.graphs.push(graph));
  source.on('failure', (failure) => seen.failures.push(failure));
  source.on('problems', (problems) => seen.problems.push(problems));
  source.on('recovered', () => seen.recovered++);
  onTestFinished(() => source.stop());
  source.start();
  return seen;
}

async function setUp(files: Record<string, unknown> = FILES, pids: object = { c: 10, p: 20 }) {
  const root = await scratchFolder();
  const state = `${root}/revision`;
  await mkdir(state);
  await writeFiles(files, state);
  const pidsPath = `${root}/run/pids.json`;
  await mkdir(`${root}/run`);
  await writeFile(pidsPath, JSON.stringify(pids));
  const seen = watchState(state, pidsPath);
  await eventually(() => expect(seen.graphs).toHaveLength(1));
  return { root, state, pidsPath, seen };
}

const quiet = () => pause(QUIET_MS); // what happens in it is what may not

describe('the state source', () => {
  it('yields the graph with pids and a stamp', async () => {
    const { seen } = await setUp();
    expect(seen.graphs[0]?.links).toMatchObject([
      { consumer: 'c', consumerPid: 10, providerPid: 20 },
    ]);
    expect(seen.graphs[0]?.stamp).toBeGreaterThan(0);
    expect(seen.failures).toEqual([]);
  });

  it('yields a graph without pids where there is no pids file', async () => {
    const seen = watchState(await writeFiles(FILES));
    await eventually(() => expect(seen.graphs[0]?.links).toMatchObject([{ consumerPid: 0 }]));
    expect(seen.graphs[0]?.stamp).toBe(0);
  });

  it('is told of each new pid, and does not find it by chance', async () => {
    const told = vi.spyOn(Looker.prototype, 'soon');
    onTestFinished(() => told.mockRestore());
    const { pidsPath, seen } = await setUp(FILES, {});
    for (let pid = 100; pid < 105; pid++) {
      told.mockClear();
      await writeFile(`${pidsPath}.new`, JSON.stringify({ c: pid }));
      await rename(`${pidsPath}.new`, pidsPath);
      await eventually(() => expect(seen.graphs.at(-1)?.links[0]?.consumerPid).toBe(pid));
      await eventually(() => expect(told).toHaveBeenCalled());
    }
  });

  it('builds anew when a manifest changes, in place or replaced', async () => {
    const { state, seen } = await setUp();
    await writeFiles({ 'p/services.json': services({ ...RAW, socket: '/run/2.sock' }) }, state);
    await eventually(() => expect(seen.graphs.at(-1)?.links[0]?.socket).toBe('/run/2.sock'));
    await writeFiles({ 'p/new': services({ ...RAW, socket: '/run/3.sock' }) }, state);
    await rename(`${state}/p/new`, `${state}/p/services.json`);
    await eventually(() => expect(seen.graphs.at(-1)?.links[0]?.socket).toBe('/run/3.sock'));
  });

  it('builds anew when a container comes or goes', async () => {
    const { state, seen } = await setUp();
    await writeFiles({ 'd/run.json': requires('raw') }, state);
    await eventually(() => expect(seen.graphs.at(-1)?.links).toHaveLength(2));
    await writeFiles({ 'd/run.json': requires('raw', { name: 'raw', target: '/run/x' }) }, state);
    await eventually(() => expect(seen.graphs.at(-1)?.links).toHaveLength(3));
    await rm(`${state}/d`, { recursive: true });
    await eventually(() => expect(seen.graphs.at(-1)?.links).toHaveLength(1));
  });

  it('follows a link that is switched to another revision', async () => {
    const root = await scratchFolder();
    await symlink(await writeFiles(FILES), `${root}/current`);
    const seen = watchState(`${root}/current`);
    await eventually(() => expect(seen.graphs).toHaveLength(1));
    const next = await writeFiles({ ...FILES, 'd/run.json': requires('raw') });
    await symlink(next, `${root}/next`);
    await rename(`${root}/next`, `${root}/current`);
    await eventually(() => expect(seen.graphs.at(-1)?.links).toHaveLength(2));
    await writeFiles({ 'e/run.json': requires('raw') }, next);
    await eventually(() => expect(seen.graphs.at(-1)?.links).toHaveLength(3));
  });

  it('says nothing while nothing changes, whoever touches files or asks', async () => {
    const { state, pidsPath, seen } = await setUp();
    await writeFiles({ 'p/notes.txt': 'x', 'readme.md': 'y' }, state);
    await writeFile(pidsPath, JSON.stringify({ p: 20, c: 10 }));
    await quiet();
    expect(seen.graphs).toHaveLength(1);
    expect(seen.problems).toEqual([]);
  });

  it('yields the same links again, with a newer stamp, once someone doubts the processes', async () => {
    const { pidsPath, seen } = await setUp();
    seen.source.refresh('a container died');
    await pause(200); // nothing may follow: a look takes some milliseconds
    expect(seen.graphs).toHaveLength(1); // the file is no newer than it was
    await writeFile(pidsPath, JSON.stringify({ c: 10, p: 20 }));
    await eventually(() => expect(seen.graphs).toHaveLength(2));
    const [first, second] = seen.graphs;
    expect(second?.links).toEqual(first?.links);
    expect(second?.stamp).toBeGreaterThan(first?.stamp ?? 0);
  });

  it('does so too when the file was written before someone doubts', async () => {
    const { pidsPath, seen } = await setUp();
    await writeFile(pidsPath, JSON.stringify({ c: 10, p: 20 }));
    await quiet();
    expect(seen.graphs).toHaveLength(1);
    seen.source.refresh('a container died');
    await eventually(() => expect(seen.graphs).toHaveLength(2));
  });

  it('says problems when they change', async () => {
    const { state, seen } = await setUp({ ...FILES, 'd/run.json': requires('none') });
    expect(seen.problems).toMatchObject([[{ code: 'service-missing' }]]);
    await writeFiles({ 'd/run.json': requires('none', 'raw') }, state);
    await eventually(() => expect(seen.graphs).toHaveLength(2));
    expect(seen.problems).toHaveLength(1);
    await writeFiles({ 'd/run.json': requires('raw') }, state);
    await eventually(() => expect(seen.problems.at(-1)).toEqual([]));
  });
});

describe('what can not be read', () => {
  it('is a failure, said once, and the last good graph stands until it can be', async () => {
    const root = await scratchFolder();
    const path = `${root}/state.json`;
    await writeFile(path, JSON.stringify({ ...STATE, ...FILES }));
    const seen = watchState(path);
    await eventually(() => expect(seen.graphs).toHaveLength(1));
    await writeFile(path, '{"#spec":');
    await eventually(() => expect(seen.failures).toHaveLength(1));
    expect(seen.failures[0]).toMatchObject({ code: 'state-unreadable' });
    expect(seen.failures[0]?.message).toContain(path);
    await quiet();
    expect([seen.graphs.length, seen.failures.length, seen.recovered]).toEqual([1, 1, 0]);
    await writeFile(path, JSON.stringify({ ...STATE, ...FILES, 'd/run.json': requires('raw') }));
    await eventually(() => expect(seen.graphs.at(-1)?.links).toHaveLength(2));
    expect([seen.failures.length, seen.recovered]).toEqual([1, 1]);
  });

  it('is a revision that is not there yet, and is read when it comes', async () => {
    const path = `${await scratchFolder()}/later`;
    const seen = watchState(path);
    await eventually(() => expect(seen.failures).toHaveLength(1));
    const made = await writeFiles(FILES);
    await rename(made, path);
    onTestFinished(() => rm(path, { recursive: true }));
    await eventually(() => expect(seen.graphs).toHaveLength(1));
    expect(seen.recovered).toBe(1);
  });

  it('is one file that is JSON no more, and soon is again: nobody hears of it', async () => {
    const { state, seen } = await setUp();
    const whole = { 'p/services.json': services({ ...RAW, socket: '/run/2.sock' }) };
    await writeFiles({ 'p/services.json': '{"#spec": "service-man' }, state);
    await quiet();
    await writeFiles(whole, state);
    await eventually(() => expect(seen.graphs.at(-1)?.links[0]?.socket).toBe('/run/2.sock'));
    expect(seen.graphs).toHaveLength(2);
    expect([seen.problems, seen.failures]).toEqual([[], []]);
  });

  it('is one file that stays so: it takes out itself, and no later change waits for it', async () => {
    const { state, seen } = await setUp();
    await writeFiles({ 'p/services.json': '{' }, state);
    const failed = { error: { code: 'manifest-invalid' } };
    const shown = () => expect(seen.graphs.at(-1)?.links).toMatchObject([failed]);
    await eventually(shown, { timeoutMs: 30_000 });
    expect(seen.problems.at(-1)?.map(({ code }) => code)).toContain('json-invalid');
    await writeFiles({ 'q/services.json': services(RAW) }, state);
    await eventually(() => expect(seen.graphs.at(-1)?.links[0]?.provider).toBe('q'));
  });

  it('is one file after another: each has its own time', async () => {
    const other = { ...RAW, name: 'other' };
    const more = { 'q/services.json': services(other), 'd/run.json': requires('other') };
    const { state, seen } = await setUp({ ...FILES, ...more });
    await writeFiles({ 'p/services.json': '{' }, state);
    const failures = () => seen.graphs.at(-1)?.links.filter(({ error }) => error);
    await eventually(() => expect(failures()).toHaveLength(1), { timeoutMs: 30_000 });
    await writeFiles({ 'q/services.json': '{' }, state);
    await quiet();
    expect(failures()).toHaveLength(1);
  });

  it('is a pids file, while the revision goes on to be followed with the last pids', async () => {
    const { state, pidsPath, seen } = await setUp();
    await writeFile(pidsPath, 'oops');
    await eventually(() => expect(seen.failures).toHaveLength(1));
    await writeFiles({ 'd/run.json': requires('raw') }, state);
    await eventually(() => expect(seen.graphs.at(-1)?.links).toHaveLength(2));
    expect(seen.graphs.at(-1)?.links[0]).toMatchObject({ consumerPid: 10 });
    await writeFile(pidsPath, JSON.stringify({ c: 11 }));
    await eventually(() => expect(seen.recovered).toBe(1));
    await eventually(() => expect(seen.graphs.at(-1)?.links[0]).toMatchObject({ consumerPid: 11 }));
  });
});

describe('stopped', () => {
  it('it says nothing any more, even of a look that is under way', async () => {
    const path = await writeFiles(FILES);
    const seen = watchState(path);
    seen.source.stop();
    await quiet();
    expect(seen.graphs).toEqual([]);
    seen.source.refresh('late');
    await writeFiles({ 'd/run.json': requires('raw') }, path);
    await quiet();
    expect(seen.graphs).toEqual([]);
  });
});
