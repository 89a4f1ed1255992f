/** Memory of process trees, from /proc; a process that ended meanwhile counts as nothing. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Memory {
  /** Resident bytes; shared pages count in each process. */
  readonly rss: number;
  /** Resident bytes; shared pages are divided among the processes that share them (proc(5)). */
  readonly pss: number;
}

/** Of these processes and all their descendants. */
export function memoryOf(pids: readonly number[]): Memory {
  let rss = 0;
  let pss = 0;

  for (const pid of withDescendants(pids)) {
    const rollup = read(`/proc/${pid}/smaps_rollup`);
    rss += kilobytes(rollup, 'Rss');
    pss += kilobytes(rollup, 'Pss');
  }
  return { rss: rss * 1024, pss: pss * 1024 };
}

function withDescendants(pids: readonly number[]): number[] {
  const children = new Map<number, number[]>();

  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    // The name of a process may contain blanks and brackets, so fields are read after the last bracket.
    const parent = Number(read(`/proc/${name}/stat`).split(') ').at(-1)?.split(' ')[1]);
    const siblings = children.get(parent);
    if (siblings) siblings.push(Number(name));
    else children.set(parent, [Number(name)]);
  }
  const all = [...pids];
  for (let i = 0; i < all.length; i++) all.push(...(children.get(all[i] as number) ?? []));
  return all;
}

function kilobytes(rollup: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
