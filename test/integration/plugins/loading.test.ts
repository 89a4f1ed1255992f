/** Loading a plugin as the daemon does, in a process of its own: what stands in the way is told in one sentence. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isRoot } from '../../support/requirements.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const UID = 61_000;
const LOADER = `
const [module, uid] = process.argv.slice(1);
const { importPlugin } = await import('${ROOT}dist/plugins/outside.js');
if (uid !== '') process.setuid(Number(uid));
const told = await importPlugin(module).then(
  ({ types }) => ({ types }),
  ({ code, message }) => ({ code, message }),
);
console.log(JSON.stringify(told));
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-loading-'));
  chmodSync(folder, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true }));

function put(path: string, text: string): string {
  const whole = join(folder, path);
  mkdirSync(join(whole, '..'), { recursive: true });
  writeFileSync(whole, text);
  return whole;
}

function load(module: string, { cwd = folder, uid = '' } = {}): unknown {
  const argv = ['--input-type=module', '-e', LOADER, module, uid];
  const { stdout, stderr } = spawnSync(process.execPath, argv, { cwd, encoding: 'utf8' });
  return stdout === '' ? stderr : JSON.parse(stdout);
}

const GOOD = 'export default { types: ["mine"], attach() {} };';
const NO_PLUGIN = 'is no plugin: {types: string[], attach(link, host)} was expected.';

describe('a module', () => {
  test('is taken from the working directory', () => {
    put('good.mjs', GOOD);
    for (const name of ['good.mjs', './good.mjs', join(folder, 'good.mjs')]) {
      expect(load(name)).toEqual({ types: ['mine'] });
    }
  });

  test.each([
    ['no default export', 'export const x = 1'],
    ['no types', 'export default { attach() {} }'],
    ['types that are no names', 'export default { types: [1], attach() {} }'],
    ['no attach', 'export default { types: ["mine"] }'],
  ])('with %s is no plugin', (_, text) => {
    put('none.mjs', text);
    const message = `The default export of ./none.mjs ${NO_PLUGIN}`;
    expect(load('./none.mjs')).toEqual({ code: 'plugin-invalid', message });
  });

  const OPTIONS = 'options: {service: {name: schema}, requirement: {name: schema}}';
  test.each([
    ['interfaces: "announced"', 'interfaces: string[]'],
    ['interfaces: []', 'interfaces: string[]'],
    ['options: []', OPTIONS],
    ['options: { ingress: {} }', OPTIONS],
    ['options: { service: { speed: 7 } }', OPTIONS],
  ])('with %s is told what was expected', (field, expected) => {
    put('half.mjs', `export default { types: ["mine"], attach() {}, ${field} };`);
    const message = `The default export of ./half.mjs is no plugin: ${expected} was expected.`;
    expect(load('./half.mjs')).toEqual({ code: 'plugin-invalid', message });
  });

  test.each([
    [
      'a syntax error',
      'export default {\n  types: ["mine"],\n  attach() {;\n};\n',
      "Unexpected token ';' at %:4.",
    ],
    ['an exception', 'const a = 1;\nthrow new Error("boom")', 'boom at %:2.'],
    ['a string thrown', 'throw "boom"', 'boom.'],
    ['nothing thrown', 'throw null', 'null.'],
    [
      'an import that is not there',
      'import "nowhere";\nexport default {}',
      "Cannot find package 'nowhere' imported from %.",
    ],
    [
      'an import that is no JavaScript',
      'import "./broken.mjs";\nexport default {}',
      "Unexpected token '}', in a module that it imports.",
    ],
  ])('with %s is told with its place', (_, text, message) => {
    put('broken.mjs', 'let x = }');
    const path = put('bad.mjs', text);
    const whole = `Plugin ./bad.mjs can't be loaded: ${message.replace('%', path)}`;
    expect(load('./bad.mjs')).toEqual({ code: 'plugin-failed', message: whole });
  });

  test.each([
    ['./nothing-here.js', 'there is nothing at %/nothing-here.js.'],
    ['/proc/nothing/here.js', 'there is nothing at /proc/nothing.'],
    ['/etc', '/etc is a folder, a file was expected.'],
    ['@nobody/x', 'there is no package of that name in % or above, or beside pv-xconnect.'],
  ])('that is not there is told as given: %s', (name, message) => {
    const whole = `Plugin ${name}: ${message.replace('%', folder)}`;
    expect(load(name)).toEqual({ code: 'plugin-missing', message: whole });
  });
});

describe('a package in the project of the working directory', () => {
  test.each([
    ['that can only be imported', { exports: { '.': { import: './index.mjs' } } }],
    ['with exports', { exports: './index.mjs' }],
    ['with a main file', { main: './index.mjs' }],
  ])('is found: one %s', (_, fields) => {
    put('project/node_modules/@acme/plugin/package.json', JSON.stringify(fields));
    put('project/node_modules/@acme/plugin/index.mjs', GOOD);
    put('project/below/x', '');
    const cwd = join(folder, 'project/below');
    expect(load('@acme/plugin', { cwd })).toEqual({ types: ['mine'] });
  });
});

describe.runIf(isRoot())("what the daemon's user may not read", () => {
  const uid = String(UID);

  test('is a folder on the way', () => {
    put('closed/inner/good.mjs', GOOD);
    const closed = join(folder, 'closed');
    chmodSync(closed, 0o700);
    const message = `Plugin closed/inner/good.mjs: the daemon's user (uid ${UID}) may not enter ${closed}, whose mode is 700 with the owner 0.`;
    expect(load('closed/inner/good.mjs', { uid })).toEqual({ code: 'plugin-unreadable', message });
    expect(load('closed/inner/good.mjs')).toEqual({ types: ['mine'] });
  });

  test('is the file, or one that it imports', () => {
    const path = put('secret.mjs', GOOD);
    chmodSync(path, 0o600);
    put('importing.mjs', `import "./secret.mjs";\n${GOOD}`);
    for (const name of ['secret.mjs', 'importing.mjs']) {
      const message = `Plugin ${name}: the daemon's user (uid ${UID}) may not read ${path}, whose mode is 600 with the owner 0.`;
      expect(load(name, { uid })).toEqual({ code: 'plugin-unreadable', message });
    }
  });
});
