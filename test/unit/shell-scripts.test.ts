/** Every shell script of the repository, read by shellcheck. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../src/relay/native.js';
import { has } from '../support/requirements.js';

const NOT_OURS = ['.git', 'build', 'dist', 'node_modules'];
const SHEBANG = /^#!\S*\/(env )?(ba|da)?sh\b/;

function scriptsBelow(folder: string): string[] {
  return readdirSync(join(PACKAGE_ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return NOT_OURS.includes(path) ? [] : scriptsBelow(path);
    if (!entry.isFile()) return [];
    const isScript =
      /\.(ba)?sh$/.test(path) || SHEBANG.test(readFileSync(join(PACKAGE_ROOT, path), 'latin1'));
    return isScript ? [path] : [];
  });
}

test('the package has the scripts that pv-appengine reads', () => {
  const { stdout } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: PACKAGE_ROOT,
    encoding: 'utf8',
  });
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  const scripts = files.map(({ path }) => path).filter((path) => path.endsWith('.sh'));
  expect(scripts.sort()).toEqual(scriptsBelow('src').sort());
});

test.runIf(has('shellcheck'))('shellcheck finds nothing in any shell script', () => {
  const scripts = scriptsBelow('.');
  expect(scripts).toEqual(
    expect.arrayContaining([
      '.ci/run',
      'src/runtime/bridge.sh',
      'src/runtime/engines/namespace/init.sh',
    ]),
  );
  const { stdout } = spawnSync('shellcheck', ['--format=gcc', ...scripts], {
    cwd: PACKAGE_ROOT,
    encoding: 'utf8',
  });
  expect(stdout.trim().split('\n')).toEqual(['']);
});
