/**
 * `npm test`: sets up, runs every suite, says what was skipped and why, and ends with `N passed, N failed` alone
 * on a line. Arguments go to vitest. With PVX_NO_SKIP=1 nothing may be skipped: a missing tool is a failure. With
 * PVX_SANITIZE=1 and no arguments, suites run once more with sanitizers (sanitize.mjs); all of that counts as one test.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guardOutput, ROOT, setUp } from './setup.mjs';

const SANITIZE_MS = 15 * 60_000; // it takes 2 minutes

/** null: not asked for. */
function runSanitized() {
  if (process.env.PVX_SANITIZE !== '1' || process.argv.length > 2) return null;
  const { status } = spawnSync(process.execPath, [join(ROOT, 'scripts/sanitize.mjs'), '--quick'], {
    cwd: ROOT,
    stdio: 'inherit',
    timeout: SANITIZE_MS,
    killSignal: 'SIGKILL',
  });
  return status === 0;
}

guardOutput();
setUp();
const folder = mkdtempSync(join(tmpdir(), 'pvx-test-'));
const report = join(folder, 'report.json');
const skips = join(folder, 'skips.txt');
const { status } = spawnSync(
  process.execPath,
  [
    join(ROOT, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--reporter=default',
    `--reporter=${join(ROOT, 'scripts/report.mjs')}`,
    ...process.argv.slice(2),
  ],
  { cwd: ROOT, stdio: 'inherit', env: { ...process.env, PVX_REPORT: report, PVX_SKIPS: skips } },
);

const results = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : null;
const reasons = existsSync(skips) ? readFileSync(skips, 'utf8').trim().split('\n') : [];
for (const reason of new Set(reasons)) process.stdout.write(`Skipped: ${reason}\n`);
rmSync(folder, { recursive: true });

const sanitized = runSanitized();
if (sanitized === false) process.stdout.write('The run with sanitizers failed, see above.\n');
const passed = (results?.numPassedTests ?? 0) + Number(sanitized === true);
const notPassed = results?.testResults.filter(
  (file) => file.status !== 'passed' && file.assertionResults.length === 0,
);
// A test whose process ended during the test stays pending.
const ended = results?.testResults
  .flatMap((file) => file.assertionResults)
  .filter(({ status }) => status === 'pending');
for (const { fullName } of ended ?? []) process.stdout.write(`Ended in the middle: ${fullName}\n`);
// A file that could not be loaded has no tests to count, and is a failure all the same.
const failed =
  (results ? results.numFailedTests + notPassed.length + ended.length : 1) +
  Number(sanitized === false);
const skipped = results ? results.numPendingTests + (results.numTodoTests ?? 0) : 0;
const forbidden = process.env.PVX_NO_SKIP === '1' ? skipped : 0;
if (forbidden > 0)
  process.stdout.write(`${forbidden} tests were skipped, and nothing may be here.\n`);
process.exitCode = status === 0 && failed + forbidden === 0 && passed > 0 ? 0 : 1;
process.stdout.write(`${passed} passed, ${failed + forbidden} failed\n`);
