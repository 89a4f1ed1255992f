/**
 * Being root of a user namespace, where an ordinary user may be: this program runs itself anew in one. The
 * containers and the daemon are then made in there, and have no power outside that the user lacks.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CONTAINER_PATH } from './namespace-engine.js';

export const ROOTLESS = ['auto', 'always', 'never'] as const;
export type Rootless = (typeof ROOTLESS)[number];

/** Set in the process that was run anew. */
const MARK = 'PV_APPENGINE_ROOTLESS';
const USER_NAMESPACE = ['--user', '--map-root-user'];
/** What every container needs to be allowed in there. */
const PROBE = ['--mount', '--pid', '--fork', '--mount-proc', 'true'];
const TOOLS = ['setpriv', 'unshare', 'mount', 'pivot_root'];

/** Whether this process is root of a user namespace of our making. */
export function isRootless(): boolean {
  return process.env[MARK] === '1';
}

export function mustRunAnew(wanted: Rootless): boolean {
  if (isRootless()) return false;
  return wanted === 'always' || (wanted === 'auto' && process.geteuid?.() !== 0);
}

/** Why containers can't be made here, in one sentence; null where they can. */
export function obstacle(wanted: Rootless): string | null {
  const missing = TOOLS.filter((tool) => !isInstalled(tool));
  if (missing.length > 0) return `${missing.join(', ')} not found: install util-linux.`;
  if (!mustRunAnew(wanted)) {
    if (process.geteuid?.() === 0) return null;
    return 'Only root can do this without a user namespace: leave --rootless never out.';
  }
  const { status, stderr } = spawnSync('unshare', [...USER_NAMESPACE, ...PROBE], {
    encoding: 'utf8',
  });
  if (status === 0) return null;
  const why = stderr.trim().split('\n')[0] || 'no reason given';
  return `The kernel lets this user make no user namespace (${why}): run it as root, or allow them.`;
}

function isInstalled(program: string): boolean {
  return CONTAINER_PATH.split(':').some((folder) => existsSync(join(folder, program)));
}

/** Runs this command line again as root of a new user namespace; resolves with its exit code. */
export async function runAnew(): Promise<number> {
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  // Set inside the namespace: making one would clear it. So it ends in order even if we are killed.
  const argv = [...USER_NAMESPACE, 'setpriv', '--pdeathsig', 'TERM', ...self];
  const child = spawn('unshare', argv, {
    stdio: 'inherit',
    env: { ...process.env, [MARK]: '1' },
    detached: true, // Ctrl-C reaches this process alone, which passes it on once
  });
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => child.kill(name));
  }
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}
