/** A field of the text of /proc/PID/stat by its number in proc_pid_stat(5), from 3 on; 0 where there is no number. Pure. */
export function statField(stat: string, number: number): number {
  // Field 2, the name, may hold blanks and brackets: what counts comes after the last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[number - 3]) || 0;
}
