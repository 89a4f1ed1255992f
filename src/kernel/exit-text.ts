/** How a process ended, for people. */
import { constants } from 'node:os';

/**
 * `exit code 3`. A shell and a container engine exit with 128 and the number of the signal that ended what they ran:
 * `exit code 137 (SIGKILL)`.
 */
export function exitText(code: number): string {
  const signal = signalName(code - 128);
  return `exit code ${code}${signal === undefined ? '' : ` (${signal})`}`;
}

export function signalName(number: number): string | undefined {
  return Object.entries(constants.signals).find(([, one]) => one === number)?.[0];
}
