/**
 * What a test needs of the machine. Where an optional tool is missing its tests are skipped and the summary says
 * why; where nothing may be skipped (PVX_NO_SKIP=1), that is an error.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';

/** For `test.runIf(has('socat'))`: whether the program is in PATH. */
export function has(program: string): boolean {
  return provided(!spawnSync('which', [program]).status, `${program} is not installed`);
}

/** Whether this is root, with which containers can be made. */
export function isRoot(): boolean {
  return provided(process.geteuid?.() === 0, 'real containers need root');
}

function provided(present: boolean, reason: string): boolean {
  if (present) return true;
  if (process.env.PVX_NO_SKIP === '1') throw new Error(`${reason}, and nothing may be skipped`);
  if (process.env.PVX_SKIPS) appendFileSync(process.env.PVX_SKIPS, `${reason}\n`);
  return false;
}
