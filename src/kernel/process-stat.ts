/** Processes as proc(5) tells of them. Pure. */

/** Largest pid_t. */
const MAX_PID = 2 ** 31 - 1;

/** Whether this can be a pid; 0, too, which stands for none. */
export function isPid(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MAX_PID;
}

/** A field of the text of /proc/PID/stat by its number in proc_pid_stat(5), from 3 on; 0 where there is no number. */
export function statField(stat: string, number: number): number {
  // Field 2, the name, may hold blanks and brackets: what counts comes after the last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[number - 3]) || 0;
}
