/**
 * `node scripts/sanitize.mjs [--quick | FILE...]`: runs suites with native parts that are built with GCC's address and
 * undefined-behaviour sanitizers (its manual, "Instrumentation Options"), and fails on anything that those report.
 * Without files: the suites of the broker, the relay and the launch; with `--quick`, some that pass through most of the
 * native parts in a minute or two. As root, as those are.
 *
 * The build is a folder beside the usual one, mounted in its place in a mount namespace of the run's own, so that what
 * starts pvx-broker or loads the addon finds it there. The broker's filter then also permits what a sanitizer needs
 * (PVX_SANITIZED in sandbox.c).
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { compileNative } from './native.mjs';
import { ROOT, setUp } from './setup.mjs';

const SUITES = ['test/integration/broker', 'test/integration/relay', 'test/integration/launch'];
const QUICK = [
  'test/integration/relay',
  ...['closing', 'connections', 'tcp'].map((name) => `test/integration/broker/${name}.test.ts`),
  'test/integration/bus/program.test.ts',
  ...['datagrams', 'descriptors'].map((name) => `test/e2e/unix/${name}.test.ts`),
];
const FLAGS = [
  ...['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'],
  ...['-g', '-O1'],
  ...['-U_FORTIFY_SOURCE', '-DPVX_SANITIZED'],
];
const PLACE = 'build/sanitized';
/** Suites on what the usual build contains, and on calls that its filter refuses: a sanitizer needs others. */
const EXCEPT = ['broker/production', 'broker/security-claims', 'relay/filter'].map(
  (name) => `test/integration/${name}.test.ts`,
);
const REPORT = /ERROR: AddressSanitizer|runtime error:/;

function files() {
  const given = process.argv.slice(2);
  if (given[0] === '--quick') return QUICK;
  return given.length > 0 ? given : SUITES;
}

setUp();
compileNative(ROOT, PLACE, FLAGS, (what, command, args) => {
  process.stdout.write(`${what}, with sanitizers\n`);
  const { status } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) process.exit(1);
});

const reports = mkdtempSync(join(tmpdir(), 'pvx-sanitize-'));
chmodSync(reports, 0o777); // the daemon is a user of its own
const library = spawnSync('cc', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
const log = `log_path=${join(reports, 'report')}`;
const vitest = [process.execPath, join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run'];
let seen = 0;
const child = spawn(
  'unshare',
  [
    ...['--mount', '--propagation', 'private', 'sh', '-c'],
    'mount --bind "$0" "$1" && shift && export LD_PRELOAD="$PVX_LIBRARY" && exec "$@"',
    ...[join(ROOT, PLACE), join(ROOT, 'build/Release')],
    ...[...vitest, '--testTimeout=120000', '--retry=1'],
    ...EXCEPT.flatMap((file) => ['--exclude', file]),
    ...files(),
  ],
  {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PVX_LIBRARY: library.stdout.trim(),
      PVX_TEST_CFLAGS: FLAGS.join(' '), // of the broker that the tests compile
      // To look for leaks, a sanitizer makes a process, which the broker's filter does not permit.
      ASAN_OPTIONS: `detect_leaks=0:${log}`,
      UBSAN_OPTIONS: `print_stacktrace=1:${log}`,
    },
  },
);
for (const stream of [child.stdout, child.stderr]) {
  createInterface(stream).on('line', (line) => {
    process.stdout.write(`${line}\n`);
    if (REPORT.test(line)) seen++;
  });
}
const [status] = await once(child, 'close');
const found = readdirSync(reports);
for (const name of found) process.stdout.write(readFileSync(join(reports, name), 'utf8'));
rmSync(reports, { recursive: true });
process.stdout.write(`${found.length + seen} reports of the sanitizers\n`);
process.exitCode = status === 0 && found.length + seen === 0 ? 0 : 1;
