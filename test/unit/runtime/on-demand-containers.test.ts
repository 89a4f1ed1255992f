/** Containers that are started when a name of theirs is called: which, what before them, and why not. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildGraph } from '../../../src/graph/builder.js';
import { ok } from '../../../src/kernel/result.js';
import { runtimeSettings } from '../../../src/runtime/container-settings.js';
import { ContainerSupervisor } from '../../../src/runtime/container-supervisor.js';
import type { Engine } from '../../../src/runtime/engines/engine.js';
import { LogFile } from '../../../src/runtime/log-file.js';
import { OnDemandContainers } from '../../../src/runtime/on-demand-containers.js';
import { type Files, revisionFrom, services } from '../manifest/scratch.js';
import { NO_MOUNTS } from './model-program.js';

const ON_DEMAND = { activation: { mode: 'on-demand' } };

function owner(name: string, more: object = ON_DEMAND) {
  return { type: 'dbus', owns: `org.example.${name}`, role: 'owner', ...more };
}

function runs(...required: unknown[]) {
  return { exec: ['program'], services: { required } };
}

const needs = (name: string) => ({ name: 'system-bus', interface: `org.example.${name}` });

let folder: string;
let started: string[];
let broken: Set<string>;
let containers: Map<string, ContainerSupervisor>;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-activation-'));
  started = [];
  broken = new Set();
});
afterEach(async () => {
  await Promise.all([...containers.values()].map((container) => container.close()));
  rmSync(folder, { recursive: true, force: true });
});

/** Runs nothing, and notes what it should have. */
const engine: Engine = {
  ...NO_MOUNTS,
  async start({ settings: { name } }, onOutput) {
    onOutput(Readable.from([]));
    await new Promise((resolve) => setImmediate(resolve));
    if (broken.has(name)) return { ok: false, why: 'its program is missing' };
    started.push(name);
    let end: (how: string) => void = () => undefined;
    const exited = new Promise<string>((resolve) => {
      end = resolve;
    });
    const ask = () => end('exit code 0');
    return ok({ pid: 100 + started.length, exited, ask, kill: ask });
  },
};

function onDemandOf(files: Files): OnDemandContainers {
  const revision = revisionFrom(files);
  containers = new Map(
    runtimeSettings(revision).containers.map((one) => {
      const log = new LogFile(join(folder, one.name));
      return [
        one.name,
        new ContainerSupervisor({ settings: one, leases: [], files: {} }, engine, log),
      ];
    }),
  );
  const { dependencies } = buildGraph(revision, new Map(), { hostedBus: { socket: '/run/bus' } });
  return new OnDemandContainers(revision, dependencies, containers);
}

function of(name: string): ContainerSupervisor {
  return containers.get(name) as ContainerSupervisor;
}

describe('a container that waits to be called', () => {
  it('is one that provides nothing but names that are started on demand', () => {
    const raw = { name: 'raw', type: 'unix', socket: '/run/raw' };
    const onDemand = onDemandOf({
      'a/services.json': services(owner('A'), owner('B')),
      'b/services.json': services(owner('C'), raw),
      'c/services.json': services(owner('D'), owner('E', {})),
      'd/services.json': services(owner('F', { ...ON_DEMAND, name: 'bus', socket: '/run/bus' })),
      'e/run.json': runs('raw'),
    });
    expect([...onDemand.containers]).toEqual(['a']);
  });

  it('is started by a call, once, and is there when that is answered', async () => {
    const onDemand = onDemandOf({
      'a/services.json': services(owner('A'), owner('B')),
      'a/run.json': runs(),
    });
    const names = ['org.example.A', 'org.example.B', 'org.example.A'];
    await Promise.all(names.map((name) => onDemand.activate('system-bus', name)));
    expect(started).toEqual(['a']);
    expect(of('a').status).toBe('STARTED');
    await onDemand.activate('system-bus', 'org.example.A');
    expect(started).toEqual(['a']);
  });

  it('is started again after it was stopped', async () => {
    const onDemand = onDemandOf({
      'a/services.json': services(owner('A')),
      'a/run.json': runs(),
    });
    await onDemand.activate('system-bus', 'org.example.A');
    await of('a').stop();
    await onDemand.activate('system-bus', 'org.example.A');
    expect(started).toEqual(['a', 'a']);
  });

  it('has what it requires started before it, where that waits as well', async () => {
    const onDemand = onDemandOf({
      'a/services.json': services(owner('A')),
      'a/run.json': runs(needs('B'), { ...needs('Always'), target: '/run/x' }),
      'b/services.json': services(owner('B')),
      'b/run.json': runs(needs('C')),
      'c/services.json': services(owner('C')),
      'c/run.json': runs(),
      'always/services.json': services(owner('Always', {})),
      'always/run.json': runs(),
    });
    await onDemand.activate('system-bus', 'org.example.A');
    expect(started).toEqual(['c', 'b', 'a']);
  });

  it('of a cycle is started, and each other one of it once', async () => {
    const onDemand = onDemandOf({
      'a/services.json': services(owner('A')),
      'a/run.json': runs(needs('B')),
      'b/services.json': services(owner('B')),
      'b/run.json': runs(needs('A')),
    });
    await onDemand.activate('system-bus', 'org.example.A');
    expect(started).toEqual(['b', 'a']);
  });
});

describe('an activation is refused', () => {
  const refusal = (files: Files, name = 'org.example.A', bus = 'system-bus') =>
    onDemandOf(files).activate(bus, name);

  it.each([
    ['of a name that nobody owns', 'org.example.X', 'system-bus'],
    ['on another bus', 'org.example.A', 'session'],
  ])('%s', async (_, name, bus) => {
    const files = { 'a/services.json': services(owner('A')), 'a/run.json': runs() };
    await expect(refusal(files, name, bus)).rejects.toMatchObject({
      status: 404,
      message: `No container owns "${name}" on "${bus}".`,
    });
  });

  it('where there is nothing to run', async () => {
    const files = { 'a/services.json': services(owner('A')) };
    await expect(refusal(files)).rejects.toMatchObject({ status: 409, message: /nothing to run/ });
  });

  it('where the container is not one of those, and was stopped', async () => {
    const files = { 'a/services.json': services(owner('A', {})), 'a/run.json': runs() };
    const refused = refusal(files);
    await expect(refused).rejects.toMatchObject({ status: 409, message: /not started on demand/ });
  });

  it('where the container does not start: with the reason', async () => {
    broken.add('a');
    const files = { 'a/services.json': services(owner('A')), 'a/run.json': runs() };
    await expect(refusal(files)).rejects.toMatchObject({
      status: 500,
      message: /^a did not start: its program is missing; it is started again/,
    });
  });

  it('where one that it requires does not start: with its name', async () => {
    broken.add('b');
    const files = {
      'a/services.json': services(owner('A')),
      'a/run.json': runs(needs('B')),
      'b/services.json': services(owner('B')),
      'b/run.json': runs(),
    };
    await expect(refusal(files)).rejects.toMatchObject({
      status: 500,
      message: /^b did not start/,
    });
    expect(started).toEqual([]);
  });
});
