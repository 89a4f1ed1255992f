import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
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

  test.each([
    ['no default export', 'export const x = 1', /is no plugin/],
    ['no types', 'export default { attach() {} }', /is no plugin/],
    ['types that are no names', 'export default { types: [1], attach() {} }', /is no plugin/],
    ['no attach', 'export default { types: ["mine"] }', /is no plugin/],
    ['a syntax error', 'export default {', /can't be loaded/],
    ['an exception', 'throw new Error("boom")', /can't be loaded: boom/],
  ])('refuses a module with %s in one sentence', async (_name, text, message) => {
    const registry = new Registry();
    await expect(registry.load(module(text))).rejects.toMatchObject({
      code: 'plugin-invalid',
      message: expect.stringMatching(message),
    });
  });

  test('refuses a module that does not exist', async () => {
    await expect(new Registry().load('./nothing-here.js')).rejects.toMatchObject({
      code: 'plugin-invalid',
    });
  });
});
