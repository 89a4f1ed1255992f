/** Places inside a root that is not trusted: nothing outside of it is found or made. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Inside } from '../../../../src/runtime/engines/lxc/inside.js';
import { fc, property } from '../../../support/property.js';

let folder: string;
let root: string;
let inside: Inside;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-inside-'));
  root = join(folder, 'root');
  mkdirSync(join(root, 'run'), { recursive: true });
  mkdirSync(join(root, 'var'));
  mkdirSync(join(folder, 'outside'));
  inside = new Inside(root);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const pathOf = (path: string, create?: 'dir' | 'file') => {
  const found = inside.find(path, create);
  return found.ok ? found.value.path : found.why;
};

test('what is missing is made, folders on the way as well', () => {
  expect(pathOf('a/b/c', 'dir')).toBe('a/b/c');
  expect(lstatSync(join(root, 'a/b/c')).isDirectory()).toBe(true);
  expect(pathOf('/a/b/file', 'file')).toBe('a/b/file');
  expect(lstatSync(join(root, 'a/b/file')).isFile()).toBe(true);
  expect(pathOf('a/b/file', 'file')).toBe('a/b/file');
  expect(pathOf('x/y')).toBe('x/y');
  expect(existsSync(join(root, 'x'))).toBe(false);
});

test.each([
  ['/run', 'run/dbus'],
  ['../run', 'run/dbus'],
  ['../../../../run', 'run/dbus'],
  ['/nowhere/../run', 'nowhere/../run'],
])('a symbolic link to %s is followed within the root', (to, expected) => {
  symlinkSync(to, join(root, 'var/run'));
  const found = pathOf('var/run/dbus', 'dir');
  expect(found).toBe(expected.startsWith('nowhere') ? 'run/dbus' : expected);
  expect(readdirSync(folder).sort()).toEqual(['outside', 'root']);
});

test('a link to a folder outside makes its like inside', () => {
  symlinkSync(join(folder, 'outside'), join(root, 'out'));
  expect(pathOf('out/evil', 'dir')).toBe(join(folder, 'outside/evil').slice(1));
  expect(readdirSync(join(folder, 'outside'))).toEqual([]);
});

test('links that go round, and a file in the way, are told', () => {
  symlinkSync('loop', join(root, 'loop'));
  expect(pathOf('loop/x', 'dir')).toContain('too many symbolic links');
  writeFileSync(join(root, 'file'), '');
  expect(pathOf('file/x', 'dir')).toBe("file/x can't be made inside it (ENOTDIR)");
});

test('nothing is made where something else will be mounted', () => {
  const volume = join(folder, 'outside');
  inside.cover('run', { kind: 'fresh' });
  inside.cover('dev', { kind: 'foreign' });
  inside.cover('var', { kind: 'folder', path: volume });
  expect(inside.find('run/a', 'dir')).toMatchObject({ value: { path: 'run/a', isLater: true } });
  expect(inside.find('dev/a', 'dir')).toMatchObject({ value: { path: 'dev/a', isLater: false } });
  expect(pathOf('var/lib/x', 'dir')).toBe('var/lib/x');
  expect(readdirSync(join(root, 'run'))).toEqual([]);
  expect(existsSync(join(root, 'dev'))).toBe(false);
  expect(existsSync(join(volume, 'lib/x'))).toBe(true);
  expect(readdirSync(join(root, 'var'))).toEqual([]);
});

property('whatever links there are, nothing outside is made', async (holds) => {
  const part = fc.constantFrom('..', '.', 'a', 'b', 'run', '');
  const path = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('/'));
  const target = fc.oneof(
    path,
    path.map((one) => `/${one}`),
  );
  await holds(
    fc.property(target, target, path, fc.boolean(), (first, second, asked, isFile) => {
      rmSync(root, { recursive: true, force: true });
      mkdirSync(root);
      if (first !== '') symlinkSync(first, join(root, 'a'));
      if (second !== '') symlinkSync(second, join(root, 'b'));
      new Inside(root).find(asked, isFile ? 'file' : 'dir');
      expect(readdirSync(folder).sort()).toEqual(['outside', 'root']);
      expect(readdirSync(join(folder, 'outside'))).toEqual([]);
    }),
  );
});
