/**
 * Sets up a checkout: packages, the native parts, dist/. What is up to date is left as it is. Where a step fails, its
 * output is shown, and the process ends with 1.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNative, NATIVE } from './native.mjs';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/**
 * Output that can't be written costs no stack trace: where nobody reads it any more nothing is said, otherwise there is
 * one sentence and exit code 1. `onEnd` is called in both cases.
 */
export function guardOutput(onEnd = () => undefined) {
  let ended = false;
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', (error) => {
    if (ended) return;
    ended = true;
    if (error.code !== 'EPIPE') {
      process.stderr.write(`The output can't be written: ${error.message}.\n`);
      process.once('exit', () => {
        process.exitCode ||= 1;
      });
    }
    onEnd();
  });
}

function newest(folder) {
  const files = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs);
  return Math.max(...files);
}

function oldest(...paths) {
  const times = paths
    .map((path) => join(ROOT, path))
    .map((path) => (existsSync(path) ? statSync(path).mtimeMs : 0));
  return Math.min(...times);
}

function run(what, command, args, env = process.env) {
  process.stdout.write(`${what} ...\n`);
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: 'utf8',
    env,
  });
  if (status === 0) return;
  process.stderr.write(`${stdout ?? ''}${stderr ?? ''}${error ? `${error.message}\n` : ''}`);
  process.stderr.write(`${what} failed: "${command} ${args.join(' ')}" says why above.\n`);
  process.exit(1);
}

function requireTools() {
  const [major] = process.versions.node.split('.');
  if (Number(major) < 20) {
    process.stderr.write(`Node.js ${process.versions.node} was found, 20 or newer is needed.\n`);
    process.exit(1);
  }
  const missing = ['cc', 'make'].filter((tool) => spawnSync(tool, ['--version']).error);
  if (missing.length === 0) return;
  process.stderr.write(`${missing.join(' and ')} was not found: install a C compiler and make.\n`);
  process.exit(1);
}

/** Brings everything up to date; ends the process where that fails. */
export function setUp() {
  const native = NATIVE.map((name) => `build/Release/${name}`);
  const packages = oldest('node_modules/.package-lock.json') < oldest('package-lock.json');
  const addon = oldest(...native) < Math.max(newest('native'), oldest('binding.gyp'));
  const compiled = oldest('dist/main.js', 'dist/bundle/daemon.cjs', 'dist/web/page/page.js');
  const build = ['compile-schemas', 'build-page', 'bundle'].map((name) =>
    oldest(`scripts/${name}.mjs`),
  );
  const dist = compiled < Math.max(newest('src'), ...build);
  if (!packages && !addon && !dist) return;
  requireTools();
  const ci = ['ci', '--no-audit', '--no-fund', '--ignore-scripts'];
  if (packages) run('Installing packages', 'npm', ci);
  if (addon) buildNative(ROOT, run);
  if (dist) run('Compiling TypeScript', 'npm', ['run', '--silent', 'prepare']);
}
