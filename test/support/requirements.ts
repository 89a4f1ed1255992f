/**
 * What a test needs of the machine. Where it is missing its tests are skipped and the summary says why; where
 * nothing may be skipped (PVX_NO_SKIP=1), that is an error.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, appendFileSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';

/** For `test.runIf(has('socat'))`: whether the program is in PATH. */
export function has(program: string): boolean {
  return provided(isInstalled(program), `${program} is not installed`);
}

/** Whether Debian's Python has that module. */
export function hasPython(module: string): boolean {
  const { status } = spawnSync('/usr/bin/python3', ['-c', `import ${module}`]);
  return provided(status === 0, `/usr/bin/python3 has no module ${module}`);
}

/** Whether this is root, with which containers can be made. */
export function isRoot(): boolean {
  return provided(process.geteuid?.() === 0, 'real containers need root');
}

/** An ordinary user, as setpriv becomes one; no account is needed. */
export const ORDINARY_USER = ['--reuid', '1000', '--regid', '1000', '--clear-groups'];

/** Whether an ordinary user may be root of a user namespace. */
export function userNamespaces(): boolean {
  const flags = ['--user', '--map-root-user', '--mount', '--pid', '--fork', '--mount-proc'];
  const { status } = spawnSync('setpriv', [...ORDINARY_USER, 'unshare', ...flags, 'true']);
  return provided(status === 0, 'an ordinary user may make no user namespace');
}

/** Whether a container can have a file system of its own making. */
export function fuse(): boolean {
  return provided(existsSync('/dev/fuse'), 'there is no /dev/fuse');
}

function isInstalled(program: string): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function provided(present: boolean, reason: string): boolean {
  if (present) return true;
  if (process.env.PVX_NO_SKIP === '1') throw new Error(`${reason}, and nothing may be skipped`);
  if (process.env.PVX_SKIPS) appendFileSync(process.env.PVX_SKIPS, `${reason}\n`);
  return false;
}
