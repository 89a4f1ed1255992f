/**
 * The process at a consumer's end, as it is known inside its own container: its pid, its user, its command line.
 *
 * The kernel says who connected, by a pid of ours. A process that began after the connection was made has that pid
 * from one that has ended, and is not told as the client. What /proc does not show to this user is null.
 *
 * Somebody who asks for long may be told of many processes, and of several by the same pid.
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
/** Processes that are kept in mind. */
const MAX_KNOWN = 4_096;
/** Both ends of an age are rounded to ticks. */
const ROUNDING_MS = 2 * TICK_MS;

interface Looked {
  readonly inside: Pick<ClientProcess, 'pid' | 'uid' | 'command'>;
  /** Milliseconds since 1970. */
  readonly began: number;
  /** It had the pid until then at least. */
  readonly at: number;
}

/** Reads /proc once for each process that is there, but again for who connected after that. */
export class ClientProcesses {
  /** The one that was looked at last is the last. */
  readonly #known = new Map<string, Looked>();
  readonly #read: (path: string) => string;

  /** `read`: the text of a file in /proc; throws where there is none. */
  constructor(read = (path: string) => readFileSync(path, 'utf8')) {
    this.#read = read;
  }

  /** `since`: when it connected, in milliseconds since 1970. */
  of({ pid, uid }: { readonly pid: number; readonly uid: number }, since: number): ClientProcess {
    const looked = this.#process(pid, uid, since);
    const host = { host_pid: pid, host_uid: uid };
    if (looked && isFrom(looked, since)) return { ...looked.inside, ...host };
    return { pid: null, uid: null, command: null, ...host };
  }

  /** The last one that was seen with this pid, or the one that may have it since; null: none was. */
  #process(pid: number, uid: number, since: number): Looked | null {
    const key = `${pid} ${uid}`;
    const known = this.#known.get(key) ?? null;
    if (known && since <= known.at) return known;
    const looked = this.#look(pid, uid);
    // One that began after the connection has taken nothing over: that is still of the one that is known.
    if (!looked || (known && !isFrom(looked, since))) return known;
    this.#known.delete(key);
    this.#known.set(key, looked);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_KNOWN) this.#known.delete(oldest as string);
    return looked;
  }

  #look(pid: number, uid: number): Looked | null {
    const at = Date.now();
    try {
      const inside = innermostPid(this.#read(`/proc/${pid}/status`));
      const mapped = insideId(this.#read(`/proc/${pid}/uid_map`), uid);
      const command = commandOf(this.#read(`/proc/${pid}/cmdline`));
      // Last, so that all of it was of a process that began then, or earlier.
      const began = beganAt(startTicksOf(this.#read(`/proc/${pid}/stat`)));
      return inside > 0 ? { inside: { pid: inside, uid: mapped, command }, began, at } : null;
    } catch {
      return null; // it has ended
    }
  }
}

/** It was there already when somebody connected. */
function isFrom({ began }: Looked, since: number): boolean {
  return began <= since + ROUNDING_MS;
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
