/**
 * Who the daemon's life hangs together with: the runtime that launched it, and the programs that it was launched with.
 *
 * It ends with that runtime, however that ended; its links are nobody's then. One that ended before it was first asked
 * for anything is not known, but where it said who it is (PVX_LAUNCHER). What counts as having launched it is a
 * process that serves the runtime's socket and is an ancestor: one that is started beside it, by an init, may come and
 * go. It is watched by a pidfd; a parent-death signal (PR_SET_PDEATHSIG of prctl(2)) would come with the end of the
 * thread that forked, and is cleared when root is given up.
 *
 * The broker and pvx-bus end when their channels do. They are waited for, so that they are no zombies of a process 1
 * that reaps nobody's children but its own. Where the daemon is killed, nobody but process 1 can do that.
 */
import { closeSync, readFileSync } from 'node:fs';
import { statField } from '../kernel/process-stat.js';
import { watchProcess } from '../relay/channel.js';
import { native } from '../relay/native.js';

/** A launcher's own word on its pid (src/runtime gives it): it may end before it is first seen at its socket. */
const LAUNCHER = 'PVX_LAUNCHER';
/** More than the 3 s after which the broker gives up on file systems that hang. */
const REAP_MS = 4_000;
const LOOK_MS = 5;

export class RuntimeWatch {
  readonly #onGone: (pid: number) => void;
  /** Who served the socket the last time; 0: nobody has, yet. */
  #seen = 0;

  /** `onGone`: called at most once. */
  constructor(onGone: (pid: number) => void) {
    this.#onGone = onGone;
    const said = Number(process.env[LAUNCHER]);
    delete process.env[LAUNCHER];
    if (said > 0 && !this.#watch(said)) onGone(said);
  }

  /** A connection to the runtime's socket, which stays the caller's. */
  look(fd: number): void {
    const pid = native.socketPeerPid(fd);
    if (pid > 1 && pid !== this.#seen) this.#watch(pid);
  }

  /** False: it is no ancestor of ours, or not any more. */
  #watch(pid: number): boolean {
    this.#seen = pid;
    const pidfd = native.pidfdOpen(pid);
    if (pidfd < 0) return false;
    // Only now: who is an ancestor of ours at this moment was behind that number all the time.
    const isOurs = isAncestor(pid);
    if (isOurs) watchProcess(pidfd, () => this.#onGone(pid));
    else closeSync(pidfd);
    return isOurs;
  }
}

/** Of this process. */
function isAncestor(pid: number): boolean {
  let at = process.ppid;
  while (at > 1 && at !== pid) at = parentOf(at);
  return at === pid;
}

/** 0: it is gone, or /proc hides it from us. */
function parentOf(pid: number): number {
  try {
    return statField(readFileSync(`/proc/${pid}/stat`, 'utf8'), 4);
  } catch {
    return 0;
  }
}

/** Resolves when none of these children of ours is left, or after a time. */
export async function reaped(pids: readonly number[]): Promise<void> {
  const end = performance.now() + REAP_MS;
  let left = pids.filter((pid) => !native.reap(pid));
  while (left.length > 0 && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    left = left.filter((pid) => !native.reap(pid));
  }
}
