/**
 * Running without root: this program runs itself anew as root of a user namespace, where an ordinary user may have one.
 * The containers and the daemon are made in there, and have no power outside that the user lacks.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

export const ROOTLESS = ['auto', 'always', 'never'] as const;
export type Rootless = (typeof ROOTLESS)[number];

/** This environment variable is set in the process that was run anew. */
const MARK = 'PV_APPENGINE_ROOTLESS';
const USER_NAMESPACE = ['--user', '--map-root-user'];
/** What must be allowed in that user namespace for a container to be made. */
const PROBE = ['--mount', '--pid', '--fork', '--mount-proc', 'true'];

/** Whether this process is root of a user namespace of our making. */
export function isRootless(): boolean {
  return process.env[MARK] === '1';
}

export function mustRunAnew(wanted: Rootless): boolean {
  if (isRootless()) return false;
  return wanted === 'always' || (wanted === 'auto' && process.geteuid?.() !== 0);
}

/** Why this user can't make containers here, in one sentence; null where it can. */
export function obstacle(wanted: Rootless): string | null {
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

/** Runs this command line again as root of a new user namespace; resolves with its exit code. */
export async function runAnew(): Promise<number> {
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  // Where this process is killed, the one in the namespace ends in order. The signal is set inside the namespace, as
  // making the namespace would clear it.
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
