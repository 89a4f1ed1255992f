/**
 * What the log of lxc-start says of one run of a container. The level has to be INFO.
 *
 * Texts of the container's configuration are in it as well, which may look like anything. So a process that it names is
 * only taken if it is a child of that lxc-start: it will be entered, and sent signals.
 */
import { readFileSync } from 'node:fs';
import { exitText, signalName } from '../../../kernel/exit-text.js';
import { statField } from '../../../kernel/process-stat.js';

const STARTED = /Started "[^\n]*" with pid "(\d+)"/g;

/** The pid of its first process, a child of `monitor`, once that runs in its own root. Null: it does not, yet or any more. */
export function pidIn(log: string, monitor: number): number | null {
  const said = [...readIfThere(log).matchAll(STARTED)].map(([, pid]) => Number(pid));
  return said.find((pid) => parentOf(pid) === monitor) ?? null;
}

/** Whether there was such a process. */
export function hasStarted(log: string): boolean {
  return readIfThere(log).match(STARTED) !== null;
}

/** 0: there is no such process. */
function parentOf(pid: number): number {
  return statField(readIfThere(`/proc/${pid}/stat`), 4);
}

/**
 * What lxc says of the end of the first process, as `exitOf` does: `error (3)`, `signal Killed(9)`. Undefined: nothing,
 * as after an exit code of 0.
 */
export function endIn(log: string): string | undefined {
  const match = /Child <\d+> ended on (error|signal)[^(\n]*\((\d+)\)/.exec(readIfThere(log));
  if (!match) return undefined;
  const number = Number(match[2]);
  if (match[1] === 'error') return exitText(number);
  return `signal ${signalName(number) ?? number}`;
}

/** The first error in the log, without where in the source of lxc it was. */
export function faultIn(log: string): string {
  const error = readIfThere(log)
    .split('\n')
    .find((line) => / ERROR /.test(line));
  const said = error && /ERROR\s+\S+ - \S+?:\d+ - (.*)$/.exec(error)?.[1];
  return said ? `lxc could not start it (${said})` : 'lxc did not start it in time';
}

/** Empty where there is none. */
export function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
