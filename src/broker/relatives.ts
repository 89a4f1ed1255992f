/**
 * The processes that the daemon ends with: the runtime that launched it, and the programs that it was launched with.
 *
 * The daemon ends when the runtime that launched it has ended, as nobody wants its links then. A process counts as that
 * runtime if it serves the runtime's socket and is an ancestor of the daemon. A runtime that an init started beside the
 * daemon is no ancestor, and may come and go. A runtime that ends before the daemon has connected to it is only noticed
 * if it gave its pid in PVX_LAUNCHER. The runtime is watched by a pidfd: a parent-death signal (PR_SET_PDEATHSIG of
 * prctl(2)) would come when the thread that forked ends, and is cleared when root is given up.
 *
 * The broker and pvx-bus end when their channels do. The daemon waits for them, because some processes 1 do not reap
 * orphans, and they would stay zombies. If the daemon is killed, only process 1 can reap them.
 */
import { closeSync, readFileSync } from 'node:fs';
import { statField } from '../kernel/process-stat.js';
import { watchProcess } from '../relay/channel.js';
import { native } from '../relay/native.js';

/** The pid of the launcher, if it says so (src/runtime does): it may end before we first connect to its socket. */
const LAUNCHER = 'PVX_LAUNCHER';
/** More than the 3 s after which the broker gives up on file systems that hang. */
const REAP_MS = 4_000;
const LOOK_MS = 5;

export class RuntimeWatch {
  readonly #onGone: (pid: number) => void;
  /** The pid that served the socket last; 0: none yet. */
  #seen = 0;

  /** `onGone`: called at most once. */
  constructor(onGone: (pid: number) => void) {
    this.#onGone = onGone;
    const said = Number(process.env[LAUNCHER]);
    delete process.env[LAUNCHER];
    if (said > 0 && !this.#watch(said)) onGone(said);
  }

  /** `fd`: a connection to the runtime's socket; it stays owned by the caller. */
  look(fd: number): void {
    const pid = native.socketPeerPid(fd);
    if (pid > 1 && pid !== this.#seen) this.#watch(pid);
  }

  /** False: the process is no ancestor of ours, or has ended. */
  #watch(pid: number): boolean {
    this.#seen = pid;
    const pidfd = native.pidfdOpen(pid);
    if (pidfd < 0) return false;
    // After pidfdOpen: an ancestor that lives now had this pid all the time, so the pidfd is of that process.
    const isOurs = isAncestor(pid);
    if (isOurs) watchProcess(pidfd, () => this.#onGone(pid));
    else closeSync(pidfd);
    return isOurs;
  }
}

/** Whether the process is an ancestor of this one. */
function isAncestor(pid: number): boolean {
  let at = process.ppid;
  while (at > 1 && at !== pid) at = parentOf(at);
  return at === pid;
}

/** 0: the process has ended, or /proc hides it from us. */
function parentOf(pid: number): number {
  try {
    return statField(readFileSync(`/proc/${pid}/stat`, 'utf8'), 4);
  } catch {
    return 0;
  }
}

/** Resolves when all of these children of ours have been reaped, or after REAP_MS. */
export async function reaped(pids: readonly number[]): Promise<void> {
  const end = performance.now() + REAP_MS;
  let left = pids.filter((pid) => !native.reap(pid));
  while (left.length > 0 && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    left = left.filter((pid) => !native.reap(pid));
  }
}
