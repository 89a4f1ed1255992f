/**
 * Keeps pv-xconnect running, as Pantavisor keeps its managed daemons.
 *
 * The daemon does not outlive this process, however this process ends: its supervisor watches who launched it
 * (native/supervisor/launcher.c).
 */
import { ok } from '../kernel/result.js';
import { exitOf, spawnChild } from './child-process.js';
import type { LogFile } from './log-file.js';
import { signalIfCaught } from './signals.js';
import { type Launched, Supervisor } from './supervisor.js';

const MAX_WAIT_MS = 5_000;
/** Its links are detached meanwhile, with a drain time. */
const GRACE_MS = 10_000;

export class DaemonSupervisor extends Supervisor {
  readonly name = 'pv-xconnect';
  readonly log: LogFile;

  /** `argv`: program and arguments. `log`: what it writes. */
  constructor(argv: readonly string[], log: LogFile) {
    super({ launch: () => launch(argv, log), graceMs: GRACE_MS, maxWaitMs: MAX_WAIT_MS });
    this.log = log;
  }

  /** Has it look at the graph now. One that is only just starting looks by itself. */
  nudge(): void {
    if (this.pid > 0) signalIfCaught(this.pid, 'SIGHUP');
  }

  override async close(): Promise<void> {
    await super.close();
    await this.log.close();
  }
}

async function launch(argv: readonly string[], log: LogFile): Promise<Launched> {
  const [program, ...args] = argv as [string, ...string[]];
  const made = await spawnChild(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PVX_LAUNCHER: String(process.pid),
      PV_XCONNECT_NODE: process.execPath, // the one that we run in
    },
    detached: true,
  });
  if (!made.ok) return made;
  const child = made.value;
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) void log.copy(stream);
  }
  return ok({
    pid: child.pid,
    exited: exitOf(child),
    ask: () => child.kill('SIGTERM'),
    kill: () => child.kill('SIGKILL'),
  });
}
