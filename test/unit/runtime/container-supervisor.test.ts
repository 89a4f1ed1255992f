import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ok } from '../../../src/kernel/result.js';
import { ContainerSupervisor } from '../../../src/runtime/container-supervisor.js';
import { LogFile } from '../../../src/runtime/log-file.js';
import { eventually } from '../../support/wait.js';
import { settingsOf } from './container-settings.js';
import { ModelProgram } from './model-program.js';

let folder: string;
let program: ModelProgram;
let container: ContainerSupervisor;
let seen: string[];
let news: string[];
let mounts: string[];

function supervise(settings: Parameters<typeof settingsOf>[0] = {}, graceMs = 10_000): void {
  program = new ModelProgram();
  [seen, news, mounts] = [[], [], []];
  const engine = {
    mount: async () => {
      mounts.push('mount');
      return ok(undefined);
    },
    unmount: async () => void mounts.push('unmount'),
    start(_container: unknown, onOutput: (output: Readable) => void) {
      onOutput(Readable.from([Buffer.from(`start ${program.launches + 1}\n`)]));
      return program.launch();
    },
  };
  const log = new LogFile(join(folder, 'console.log'));
  const parts = { settings: settingsOf(settings), leases: [], files: {} };
  container = new ContainerSupervisor(parts, engine, log, graceMs);
  container.on('change', () => seen.push(container.status));
  container.on('news', (text) => news.push(text));
}

const statuses = () => seen.filter((status, at) => status !== seen[at - 1]);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-container-'));
  supervise();
});
afterEach(async () => {
  await container.close();
  expect(program.alive).toBe(0);
  rmSync(folder, { recursive: true });
});

test('a container has the states that Pantavisor names', async () => {
  supervise({ autoRecovery: { policy: 'always' } });
  expect(container.status).toBe('INSTALLED');
  container.block();
  program.failures = 1;
  await container.start();
  await eventually(() => expect(container.status).toBe('STARTED'));
  container.ready();
  await container.stop();
  expect(statuses()).toEqual([
    'BLOCKED',
    'STARTING',
    'RECOVERING',
    'STARTING',
    'STARTED',
    'READY',
    'STOPPING',
    'STOPPED',
  ]);
  expect(mounts).toEqual(['unmount']);
});

test('a container whose goal is MOUNTED is mounted, and started when somebody asks for that', async () => {
  supervise({ statusGoal: 'MOUNTED' });
  await container.begin();
  expect([container.status, container.pid, container.isProven]).toEqual(['MOUNTED', 0, true]);
  await container.start('user');
  expect([container.status, container.pid]).toEqual(['STARTED', 101]);
});

test('what each run of a container writes is in one log', async () => {
  await container.start();
  await container.restart();
  await container.close();
  expect(readFileSync(join(folder, 'console.log'), 'utf8')).toBe('start 1\nstart 2\n');
});

test('what does not end when it is asked to is killed, and that is said', async () => {
  supervise({}, 1);
  program.isStubborn = true;
  await container.start();
  await container.stop('user');
  expect([container.status, container.lifecycle.userStopped]).toEqual(['STOPPED', true]);
  expect(news).toContain('did not end within 0.001 s and is killed.');
});

test('what is stopped while it is launched is ended then', async () => {
  const starting = container.start();
  const stopping = container.stop();
  expect(container.status).toBe('STOPPING');
  await Promise.all([starting, stopping]);
  expect([container.status, container.pid, program.alive]).toEqual(['STOPPED', 0, 0]);
});

test('what is told several things at once does the last of them', async () => {
  await Promise.all([container.start(), container.restart(), container.stop(), container.start()]);
  expect([container.status, program.alive]).toEqual(['STARTED', 1]);
  await Promise.all([container.restart(), container.stop('user'), container.start('user')]);
  expect([container.status, program.alive, container.lifecycle.userStopped]).toEqual([
    'STARTED',
    1,
    false,
  ]);
});

test('one that was closed is not started again, not by a restart that is under way either', async () => {
  await container.start();
  const restarting = container.restart();
  await container.close();
  await restarting;
  await container.start('user');
  expect([container.status, program.launches]).toEqual(['STOPPED', 1]);
});
