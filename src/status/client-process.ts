/**
 * The process at a consumer's end, as it is known inside its own container: its pid, its user, its command line.
 *
 * The kernel says who connected, by a pid of ours. A process that began after the connection was made has that pid
 * from one that has ended, and is not told as the client. What /proc does not show to this user is null.
 */
import { readFileSync } from 'node:fs';
import { beganAt, startTicksOf, TICK_MS } from '../kernel/boot-clock.js';

export interface ClientProcess {
  /** Inside its container; null: it has ended. */
  readonly pid: number | null;
  /** Null: it has ended, or its user namespace has none for that user. */
  readonly uid: number | null;
  /** Its arguments, with blanks between; null: it has ended, or has none. */
  readonly command: string | null;
  /** As this daemon sees them. */
  readonly host_pid: number;
  readonly host_uid: number;
}

/** Characters of a command line that are shown: a process can have any number. */
const MAX_COMMAND = 1_024;
/** Both ends of an age are rounded to ticks. */
const ROUNDING_MS = 2 * TICK_MS;

interface Looked {
  readonly inside: Pick<ClientProcess, 'pid' | 'uid' | 'command'>;
  /** Milliseconds since 1970. */
  readonly began: number;
}

/** Reads /proc once for each process, for as long as the object lives. */
export class ClientProcesses {
  readonly #known = new Map<string, Looked | null>();
  readonly #read: (path: string) => string;

  /** `read`: the text of a file in /proc; throws where there is none. */
  constructor(read = (path: string) => readFileSync(path, 'utf8')) {
    this.#read = read;
  }

  /** `since`: when it connected, in milliseconds since 1970. */
  of({ pid, uid }: { readonly pid: number; readonly uid: number }, since: number): ClientProcess {
    const key = `${pid} ${uid}`;
    const looked = this.#known.get(key) ?? this.#look(pid, uid);
    this.#known.set(key, looked);
    const host = { host_pid: pid, host_uid: uid };
    if (looked && looked.began <= since + ROUNDING_MS) return { ...looked.inside, ...host };
    return { pid: null, uid: null, command: null, ...host };
  }

  #look(pid: number, uid: number): Looked | null {
    try {
      const inside = innermostPid(this.#read(`/proc/${pid}/status`));
      const mapped = insideId(this.#read(`/proc/${pid}/uid_map`), uid);
      const command = commandOf(this.#read(`/proc/${pid}/cmdline`));
      // Last, so that all of it was of a process that began then, or earlier.
      const began = beganAt(startTicksOf(this.#read(`/proc/${pid}/stat`)));
      return inside > 0 ? { inside: { pid: inside, uid: mapped, command }, began } : null;
    } catch {
      return null; // it has ended
    }
  }
}

/** The last of `NSpid`, which is the one in its own pid namespace (proc_pid_status(5)). 0: there is none. */
export function innermostPid(status: string): number {
  const [, pids = ''] = /^NSpid:\s*(.*)$/m.exec(status) ?? [];
  return Number(pids.split(/\s+/).pop()) || 0;
}

/** An id of ours as a user namespace has it (user_namespaces(7), "uid_map"); null: it has none for it. */
export function insideId(map: string, id: number): number | null {
  for (const line of map.split('\n')) {
    const [inside = 0, outside = 0, length = 0] = line.trim().split(/\s+/).map(Number);
    if (length > 0 && id >= outside && id < outside + length) return inside + id - outside;
  }
  return null;
}

export function commandOf(cmdline: string): string | null {
  const text = cmdline.replace(/\0+$/, '').replaceAll('\0', ' ').slice(0, MAX_COMMAND);
  return text === '' ? null : text;
}
