/** Signals for a process that is only just starting: a signal that it does not catch yet would end it. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

/** Whether `status`, a file as of proc_pid_status(5), says that the process catches the signal. */
export function catches(status: string, signal: NodeJS.Signals): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  return ((BigInt(`0x${mask}`) >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n;
}

/** Sends it only to a process that catches it; false where it was not sent. */
export function signalIfCaught(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return (
      catches(readFileSync(`/proc/${pid}/status`, 'utf8'), signal) && process.kill(pid, signal)
    );
  } catch {
    return false; // it has ended
  }
}
