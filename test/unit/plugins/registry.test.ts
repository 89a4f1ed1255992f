import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { buildGraph } from '../../../src/graph/builder.js';
import { XConnectError } from '../../../src/kernel/errors.js';
import { toRevision } from '../../../src/manifest/assembly.js';
import { BUILT_IN } from '../../../src/manifest/entries.js';
import { ProblemList } from '../../../src/manifest/problem-list.js';
import { guarded } from '../../../src/plugins/outside.js';
import type { Plugin } from '../../../src/plugins/plugin.js';
import { Registry } from '../../../src/plugins/registry.js';
import { type Files, requires, services } from '../manifest/scratch.js';

const folder = mkdtempSync(join(tmpdir(), 'pvx-plugins-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function module(text: string): string {
  const path = join(folder, `plugin-${++files}.mjs`);
  writeFileSync(path, text);
  return path;
}

function plugin(...types: string[]): Plugin {
  return { types, attach: () => Promise.reject(new Error('never attached here')) };
}

/** A revision as it is read where these plugins are. */
function readWith({ vocabulary }: Registry, files: Files) {
  const reading = { problems: new ProblemList(), failed: false };
  return toRevision(new Map(Object.entries(files)), vocabulary, reading);
}

/** A link by what chooses its plugin. */
function of(type: string, spoken = type) {
  return { type, interface: spoken };
}

describe('the registry of plugins', () => {
  test('has the built-in types', () => {
    expect(new Registry().types).toContain('unix');
  });

  test('lets a plugin from outside take the place of a built-in one', () => {
    const registry = new Registry();
    const mine = plugin('unix', 'mine');
    registry.add(mine);
    expect(registry.for(of('unix'))).toBe(mine);
    expect(registry.for(of('mine'))).toBe(mine);
  });

  test('refuses a second plugin from outside for one type, and keeps the first', () => {
    const registry = new Registry();
    const first = plugin('mine');
    registry.add(first);
    expect(() => registry.add(plugin('other', 'mine'))).toThrow(/Two plugins .* type mine/);
    expect(registry.for(of('mine'))).toBe(first);
    expect(registry.for(of('other'))).toBeUndefined();
  });

  test('has one that names an interface beside a built-in one of the same type', () => {
    const registry = new Registry();
    const builtIn = registry.for(of('unix'));
    const announced = { ...plugin('unix', 'mine'), interfaces: ['announced'] };
    registry.add(announced);
    expect(registry.for(of('unix', 'announced'))).toBe(announced);
    expect(registry.for(of('unix'))).toBe(builtIn);
    expect(registry.for(of('mine', 'announced'))).toBe(announced);
    expect(registry.for(of('mine'))).toBeUndefined();
    expect(registry.types).toContain('mine');
  });

  test('takes several for one type where none is for the same', () => {
    const registry = new Registry();
    const [one, two] = [
      { ...plugin('unix'), interfaces: ['a', 'b'] },
      { ...plugin('unix'), interfaces: ['c'] },
    ];
    registry.add(one);
    registry.add(two);
    registry.add(plugin('unix'));
    expect(registry.for(of('unix', 'b'))).toBe(one);
    expect(registry.for(of('unix', 'c'))).toBe(two);
    const third = { ...plugin('tcp', 'unix'), interfaces: ['d', 'c'] };
    expect(() => registry.add(third)).toThrow(
      'Two plugins were given for type unix with the interface c.',
    );
    expect(registry.for(of('tcp', 'd'))).toBe(registry.for(of('tcp')));
  });

  test('knows what manifests may say with them', () => {
    const registry = new Registry();
    expect(registry.vocabulary).toBe(BUILT_IN);
    const speed = { type: 'integer', minimum: 1, description: 'a number of bauds' };
    registry.add({ ...plugin('serial'), options: { service: { speed } } });
    expect(registry.vocabulary.types).toContain('serial');
    expect(registry.vocabulary.service.speed).toMatchObject({ types: ['serial'] });
  });

  test.each([
    [
      { service: { socket: {} } },
      'The option "socket" of a plugin for mine has a name that is taken',
    ],
    [
      { requirement: { allow_from: {} } },
      'The option "allow_from" of a plugin for mine has a name',
    ],
    [{ requirement: { consumer_pid: {} } }, 'has a name that is taken: choose another one.'],
    [{ service: { state: {} } }, 'has a name that is taken: choose another one.'],
    [
      { service: { Speed: {} } },
      'The option "Speed" of a plugin for mine was found, a name such as',
    ],
    [
      { service: { speed: { type: 'fast' } } },
      'The option "speed" of a plugin for mine is no JSON schema: ',
    ],
    [{ service: { speed: { minimun: 1 } } }, 'unknown keyword: "minimun"'],
    [{ service: { constructor: {} } }, 'The option "constructor" of a plugin for mine was found,'],
    [
      { service: { speed: { $async: true, type: 'integer' } } },
      'is no JSON schema: async schema in sync schema',
    ],
    [{ service: { speed: { $ref: '#/definitions/a' } } }, 'has a "$ref" where what it refers to'],
    [{ service: { speed: { problem: 'slow' } } }, 'The option "speed" of a plugin for mine is no'],
    [
      { service: { a: { items: { $id: 'b' } }, c: { items: { $id: 'b', type: 'null' } } } },
      'With the options of all plugins, the schema of an entry is no JSON schema: ',
    ],
  ])('refuses options that can not be taken, and keeps what it had: %j', (options, message) => {
    const registry = new Registry();
    expect(() => registry.add({ ...plugin('mine'), options })).toThrow(message);
    expect(registry.types).not.toContain('mine');
    expect(registry.vocabulary).toBe(BUILT_IN);
  });

  test('resolves what a schema refers to within the option, whatever "$id" it has', () => {
    const registry = new Registry();
    const tree = { $id: 'service', type: 'object', additionalProperties: { $ref: '#' } };
    const rate = { type: 'integer' };
    const speed = { items: { $ref: '#/definitions/rate' }, definitions: { rate } };
    registry.add({ ...plugin('mine'), options: { service: { tree, speed } } });
    const { problems } = readWith(registry, {
      'p/services.json': services(
        { name: 'a', type: 'mine', socket: '/a', tree: { x: { y: {} } }, speed: [1] },
        { name: 'b', type: 'mine', socket: '/b', tree: { x: { y: 1 } }, speed: ['x'] },
      ),
    });
    expect(problems.map(({ pointer }) => pointer)).toEqual([
      '/services/1/tree/x/y',
      '/services/1/speed/0',
    ]);
  });

  test('gives a link no option that was not checked: of the other side, or of another type', () => {
    const registry = new Registry();
    const option = { type: 'integer' };
    const options = { service: { at_service: option }, requirement: { at_requirement: option } };
    registry.add({ ...plugin('mine'), options });
    const revision = readWith(registry, {
      'p/services.json': services(
        { name: 'a', type: 'mine', socket: '/a', at_service: 1, at_requirement: 'x' },
        { name: 'b', type: 'unix', socket: '/b', at_service: 1 },
      ),
      'c/run.json': requires(
        { name: 'a', at_service: 'x', at_requirement: 2 },
        { name: 'b', type: 'unix', at_requirement: 2 },
      ),
    });
    const { links } = buildGraph(revision, new Map());
    const extra = { at_service: 1, at_requirement: 2 };
    expect(links.map((link) => link.extra)).toEqual([extra, undefined]);
  });

  test('gives a link to the hosted bus its options too', () => {
    const registry = new Registry();
    const options = { requirement: { rate: { type: 'integer' } } };
    registry.add({ ...plugin('dbus'), options });
    const required = requires({ name: 'system-bus', rate: 2 });
    const revision = readWith(registry, { 'c/run.json': required });
    const { links } = buildGraph(revision, new Map(), { hostedBus: { socket: '/bus' } });
    expect(links.map((link) => link.extra)).toEqual([{ rate: 2 }]);
  });

  test('loads the default export of a module', async () => {
    const registry = new Registry();
    await registry.load(module('export default { types: ["mine"], attach() {} }'));
    expect(registry.types).toContain('mine');
  });
});

describe('a plugin from outside', () => {
  const attachOf = (attach: unknown) => {
    const plugin = guarded('./mine.js', { types: ['mine'], attach } as Plugin, 50);
    return plugin.attach(null as never, null as never);
  };

  test.each([
    ['throws', () => fail('boom'), 'failed: boom'],
    ['throws what is no error', () => raise('boom'), 'failed: boom'],
    ['rejects', () => Promise.reject(new Error('boom')), 'failed: boom'],
    ['returns nothing', () => undefined, 'attached nothing: {detach(drainMs)} was expected'],
    ['resolves with nothing', async () => null, 'attached nothing: {detach(drainMs)} was expected'],
    [
      'returns what can not be detached',
      () => ({ detach: 1 }),
      'attached nothing: {detach(drainMs)} was expected',
    ],
    ['never settles', () => new Promise(() => undefined), 'has not attached within 0.05 s'],
  ])('that %s costs its own link, with its name', async (_, attach, what) => {
    const found: unknown = await attachOf(attach).catch((thrown: unknown) => thrown);
    expect(found).toMatchObject({ code: 'plugin-failed' });
    const at = / at \S+:\d+/; // of whatever runs the test
    expect((found as Error).message.replace(at, '')).toBe(`Plugin ./mine.js ${what}.`);
  });

  test('keeps the errors that its host gave it', async () => {
    const error = new XConnectError('target-occupied', 'Somebody is there.');
    await expect(attachOf(() => Promise.reject(error))).rejects.toBe(error);
  });

  test('is detached where it attached too late', async () => {
    const detach = vi.fn(async () => undefined);
    let attach = (_: unknown) => {};
    const late = new Promise((resolve) => {
      attach = resolve;
    });
    await expect(attachOf(() => late)).rejects.toMatchObject({ code: 'plugin-failed' });
    expect(detach).not.toHaveBeenCalled();
    attach({ detach });
    await vi.waitFor(() => expect(detach).toHaveBeenCalledWith(0));
  });

  test('that throws while it detaches rejects, and nothing else', async () => {
    const attached = await attachOf(() => ({ detach: () => fail('boom') }));
    await expect(attached.detach(0)).rejects.toThrow('boom');
  });
});

function fail(message: string): never {
  throw new Error(message);
}

function raise(text: string): never {
  throw text;
}
