import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ContainerSettings } from '../../../src/runtime/container-settings.js';
import { ContainerSupervisor } from '../../../src/runtime/container-supervisor.js';
import { LogFile } from '../../../src/runtime/log-file.js';
import type { RevisionPlan } from '../../../src/runtime/revision-plan.js';
import { RevisionRunner } from '../../../src/runtime/revision-runner.js';
import { Trails } from '../../../src/runtime/storage/trails.js';
import { eventually } from '../../support/wait.js';
import { settingsOf } from './container-settings.js';
import { ModelProgram, NO_MOUNTS } from './model-program.js';

let folder: string;
let trails: Trails;
let runner: RevisionRunner;
let said: string[];
/** By `revision/container`. */
let programs: Map<string, ModelProgram>;

const STABLE = { policy: 'on-failure', stableTimeout: 0.05, maxRetries: 1 } as const;

/** A revision of containers by name: `version` is what they are made from. */
function plan(
  name: string,
  containers: Record<string, { version: number } & Partial<ContainerSettings>>,
  timeout = 30,
): RevisionPlan {
  const group = {
    name: 'app',
    statusGoal: 'STARTED',
    restartPolicy: 'container',
    timeout,
  } as const;
  const planned = Object.entries(containers).map(([container, { version, ...settings }]) => {
    const all = settingsOf({ name: container, group, ...settings });
    return [
      container,
      { settings: all, leases: [], files: {}, fingerprint: String(version) },
    ] as const;
  });
  return {
    name,
    revision: {
      containers: [],
      unreadable: new Map(),
      device: { groups: [], pools: [], ingress: [] },
      problems: [],
      state: {},
    },
    groups: [group],
    containers: new Map(planned),
    dependencies: new Map(),
    addresses: new Map(),
    problems: [],
  };
}

/** The program of a container, which may be prepared before it is launched. */
function program(revision: string, container: string): ModelProgram {
  const key = `${revision}/${container}`;
  const known = programs.get(key) ?? new ModelProgram();
  programs.set(key, known);
  return known;
}

const running = () => [...runner.containers].map(([name, { pid }]) => [name, pid > 0]);
const status = async (name: string) => trails.progress(name);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-runner-'));
  trails = new Trails(folder);
  [said, programs] = [[], new Map()];
  runner = new RevisionRunner({
    trails,
    say: (line) => said.push(line),
    note: (line) => said.push(line),
    onRevision: async () => undefined,
    stableSlackMs: 100,
    makeContainer: (revision, planned) => {
      const { name } = planned.settings;
      const engine = {
        ...NO_MOUNTS,
        start: () => program(revision, name).launch(),
      };
      const log = new LogFile(join(folder, 'logs', revision, name));
      return new ContainerSupervisor(planned, engine, log);
    },
  });
  await runner.begin(plan('0', { a: { version: 1 }, b: { version: 1 } }));
  await runner.start();
});
afterEach(async () => {
  await runner.close();
  for (const { alive } of programs.values()) expect(alive).toBe(0);
  rmSync(folder, { recursive: true });
});

describe('a change of the revision', () => {
  test('leaves alone what is the same, and stops and starts what is not', async () => {
    const [a, b] = [runner.containers.get('a'), runner.containers.get('b')];
    const next = plan('locals/x', { a: { version: 1 }, b: { version: 2 }, c: { version: 1 } });
    expect(await runner.change(next)).toBeNull();
    expect(runner.containers.get('a')).toBe(a);
    expect(program('0', 'a').launches).toBe(1);
    expect(runner.containers.get('b')).not.toBe(b);
    expect(running()).toEqual([
      ['a', true],
      ['b', true],
      ['c', true],
    ]);
    expect(trails.boot).toEqual({ done: 'locals/x', trying: null, before: '0' });
    expect(await status('locals/x')).toMatchObject({ status: 'DONE', progress: 100 });
    expect(said.at(-1)).toBe('The revision locals/x is DONE.');
  });

  test('is TESTING, with both in the journal, until what has to be stable is', async () => {
    const recovery = { ...STABLE, stableTimeout: 0.5 };
    const next = plan('locals/x', { a: { version: 2, autoRecovery: recovery } });
    const changing = runner.change(next);
    await eventually(() => expect(said.join('\n')).toContain('The commit is held'));
    expect(runner.trying).toBe('locals/x');
    expect(trails.boot).toEqual({ done: '0', trying: 'locals/x' });
    expect(await status('locals/x')).toMatchObject({ status: 'TESTING' });
    expect(await changing).toBeNull();
    expect(said).toContain('The commit is held: waiting for a to become stable.');
    expect([runner.trying, runner.containers.get('a')?.isProven]).toEqual([undefined, true]);
  });

  test('takes the revision before up again where a container fails for good', async () => {
    program('locals/x', 'b').failures = 9;
    const next = plan('locals/x', { a: { version: 1 }, b: { version: 2, autoRecovery: STABLE } });
    const fault = await runner.change(next);
    expect(fault).toBe('b has failed and is STOPPED');
    expect(runner.plan.name).toBe('0');
    expect(running()).toEqual([
      ['a', true],
      ['b', true],
    ]);
    expect([program('0', 'a').launches, program('0', 'b').launches]).toEqual([1, 2]);
    expect(trails.boot).toEqual({ done: '0', trying: null });
    expect(await status('locals/x')).toMatchObject({
      status: 'ERROR',
      'status-msg': 'b has failed and is STOPPED; rolled back to 0',
    });
  });

  test('takes the revision before up again where a group is late', async () => {
    const next = plan('locals/x', { b: { version: 2, statusGoal: 'READY' } }, 0.05);
    expect(await runner.change(next)).toBe(
      'the group app was not in time: b (STARTED, goal READY)',
    );
    expect(running()).toEqual([
      ['a', true],
      ['b', true],
    ]);
  });

  test('takes the revision before up again where a container does not become stable', async () => {
    const recovery = { policy: 'always', stableTimeout: 0.2 } as const;
    const changing = runner.change(plan('locals/x', { b: { version: 2, autoRecovery: recovery } }));
    await eventually(() => expect(said.join('\n')).toContain('The commit is held'));
    program('locals/x', 'b').failures = 99;
    program('locals/x', 'b').end('exit code 1');
    expect(await changing).toBe('b did not become stable');
    expect(running()).toEqual([
      ['a', true],
      ['b', true],
    ]);
  });

  test('that is cut off by the end of it all leaves both in the journal', async () => {
    const recovery = { policy: 'always', stableTimeout: 60 } as const;
    const changing = runner.change(plan('locals/x', { b: { version: 2, autoRecovery: recovery } }));
    await eventually(() => expect(said.join('\n')).toContain('The commit is held'));
    await runner.close();
    expect(await changing).toBe('pv-appengine ends');
    expect(trails.boot).toEqual({ done: '0', trying: 'locals/x' });
  });

  test('is no failure where a container that had failed before is the same', async () => {
    program('0', 'b').end('exit code 1');
    await eventually(() => expect(runner.containers.get('b')?.status).toBe('STOPPED'));
    expect(
      await runner.change(plan('locals/x', { a: { version: 2 }, b: { version: 1 } })),
    ).toBeNull();
    expect(running()).toEqual([
      ['a', true],
      ['b', true],
    ]);
  });

  test('leaves a container stopped that its user has stopped', async () => {
    await runner.containers.get('b')?.stop('user');
    expect(
      await runner.change(plan('locals/x', { a: { version: 2 }, b: { version: 1 } })),
    ).toBeNull();
    expect(running()).toEqual([
      ['a', true],
      ['b', false],
    ]);
  });

  test('is one at a time', async () => {
    const first = runner.change(plan('locals/x', { a: { version: 2 } }));
    expect(await runner.change(plan('locals/y', { a: { version: 3 } }))).toBe(
      'locals/x is being taken up',
    );
    expect(await first).toBeNull();
    expect(runner.plan.name).toBe('locals/x');
  });
});

describe('retries that are used up', () => {
  const recovery = { policy: 'always', maxRetries: 1 } as const;

  test('start the whole revision anew', async () => {
    await runner.change(
      plan('locals/x', { a: { version: 1 }, b: { version: 2, autoRecovery: recovery } }),
    );
    const b = program('locals/x', 'b');
    for (const launches of [2, 3]) {
      b.end('exit code 1');
      await eventually(() => expect(b.launches).toBe(launches));
      await eventually(() => expect(runner.containers.get('b')?.status).toBe('STARTED'));
    }
    await eventually(() => expect(program('locals/x', 'a').launches).toBe(1));
    expect(said).toContain('The revision locals/x is started anew: the retries of b are used up.');
  });

  test('are a failure of the revision while it is tried', async () => {
    program('locals/x', 'b').failures = 2;
    const next = plan('locals/x', { b: { version: 2, autoRecovery: recovery } });
    expect(await runner.change(next)).toBe('b has failed and is STOPPED');
    expect(said.join('\n')).not.toContain('is started anew:');
  });
});
