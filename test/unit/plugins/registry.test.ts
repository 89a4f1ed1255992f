import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { XConnectError } from '../../../src/kernel/errors.js';
import { guarded } from '../../../src/plugins/outside.js';
import type { Plugin } from '../../../src/plugins/plugin.js';
import { Registry } from '../../../src/plugins/registry.js';

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

describe('the registry of plugins', () => {
  test('has the built-in types', () => {
    expect(new Registry().types).toContain('unix');
  });

  test('lets a plugin from outside take the place of a built-in one', () => {
    const registry = new Registry();
    const mine = plugin('unix', 'mine');
    registry.add(mine);
    expect(registry.for('unix')).toBe(mine);
    expect(registry.for('mine')).toBe(mine);
  });

  test('refuses a second plugin from outside for one type, and keeps the first', () => {
    const registry = new Registry();
    const first = plugin('mine');
    registry.add(first);
    expect(() => registry.add(plugin('other', 'mine'))).toThrow(/Two plugins .* type mine/);
    expect(registry.for('mine')).toBe(first);
    expect(registry.for('other')).toBeUndefined();
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
