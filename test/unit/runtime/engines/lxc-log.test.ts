/** What lxc-start 5 writes into its log, and what that says of a run. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { endIn } from '../../../../src/runtime/engines/lxc/lxc-log.js';

const folder = mkdtempSync(join(tmpdir(), 'pvx-lxc-log-'));
const log = join(folder, 'lxc.log');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ['Child <9068> ended on signal Killed(9)', 'signal SIGKILL'],
  ['Child <9068> ended on signal Segmentation fault(11)', 'signal SIGSEGV'],
  ['Child <9068> ended on error (3)', 'exit code 3'],
  ['Child <9068> ended on error (137)', 'exit code 137 (SIGKILL)'],
  ['Started "/init" with pid "9068"', undefined],
])('%s: %s', (said, end) => {
  const source = 'lxc-start web 20261129180154.397 INFO     error - ../src/lxc/error.c:34 - ';
  writeFileSync(log, `${source}${said}\n`);
  expect(endIn(log)).toBe(end);
});
