import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ContainerSupervisor } from '../../../src/runtime/container-supervisor.js';
import type { Engine, EngineContainer } from '../../../src/runtime/engines/engine.js';
import { LogFile } from '../../../src/runtime/log-file.js';
import { eventually } from '../../support/wait.js';
import { ModelProgram, NO_MOUNTS } from './model-program.js';

const CONTAINER: EngineContainer = {
  settings: {
    name: 'web',
    type: 'namespace',
    obstacle: null,
    group: { name: 'app', statusGoal: 'STARTED', restartPolicy: 'container', timeout: 30 },
    statusGoal: 'STARTED',
    restartPolicy: 'container',
    roles: [],
    exec: ['web'],
    volumes: [],
    storage: new Map(),
    interfaces: [],
    ownNetwork: false,
    hostname: 'web',
  },
  leases: [],
  files: {},
};

let folder: string;
let program: ModelProgram;
let container: ContainerSupervisor;
let seen: string[];

const note = () => void seen.push(container.status);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-container-'));
  program = new ModelProgram();
  seen = [];
  const engine: Engine = {
    ...NO_MOUNTS,
    start(_container, onOutput) {
      note();
      onOutput(Readable.from([Buffer.from(`start ${program.launches + 1}\n`)]));
      return program.launch();
    },
  };
  container = new ContainerSupervisor(CONTAINER, engine, new LogFile(join(folder, 'console.log')));
});

afterEach(async () => {
  await container.close();
  rmSync(folder, { recursive: true });
});

test('a container has the states that Pantavisor names', async () => {
  note();
  container.on('news', note);
  container.on('pid', note);
  program.failures = 1;
  await container.start();
  await eventually(() => expect(container.status).toBe('STARTED'));
  await container.stop();
  expect(seen.filter((status, at) => status !== seen[at - 1])).toEqual([
    'INSTALLED',
    'STARTING',
    'RECOVERING',
    'STARTING',
    'STARTED',
    'STOPPING',
    'STOPPED',
  ]);
});

test('what each run of a container writes is in one log', async () => {
  await container.start();
  await container.restart();
  await container.close();
  expect(readFileSync(join(folder, 'console.log'), 'utf8')).toBe('start 1\nstart 2\n');
});
