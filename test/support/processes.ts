/** Processes by what proc(5) tells of them, and children of the test's own until they have ended. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { statField } from '../../src/kernel/process-stat.js';
import { PACKAGE_ROOT } from '../../src/relay/native.js';

/** Process ids of its children, oldest first. */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

/** Its oldest child of that name, as the status file has it; 0: there is none now. */
export function childNamed(pid: number, name: string): number {
  return childrenOf(pid).find((child) => nameOf(child) === name) ?? 0;
}

function nameOf(pid: number): string | undefined {
  try {
    return statusOf(pid)('Name');
  } catch {
    return undefined; // it has ended
  }
}

/** Its children, each with its own descendants behind it. */
export function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

/** What stands behind a name in the status file of a process, or of one thread of it. */
export function statusOf(pid: number, thread = pid): (name: string) => string | undefined {
  const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
  return (name) => new RegExp(`^${name}:(.*)$`, 'm').exec(status)?.[1]?.trim();
}

/** CPU time that all its threads used, in the kernel's ticks of 10 ms. */
export function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return statField(stat, 14) + statField(stat, 15);
}

export function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** Its exit code, or the name of the signal that ended it, once it has ended. */
export async function endOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  if (!hasEnded(child)) await once(child, 'exit');
  return (child.exitCode ?? child.signalCode) as number | NodeJS.Signals;
}

/** Ends it by a signal, where it has not ended yet; resolves as `endOf` does. */
export function endBy(
  child: ChildProcess,
  signal: NodeJS.Signals = 'SIGKILL',
): Promise<number | NodeJS.Signals> {
  child.kill(signal);
  return endOf(child);
}

/** Runs one of our programs, with these as its descriptors from 3 on, to its end. */
export async function runProgram(
  name: string,
  fds: readonly (number | 'ignore')[],
  user: { readonly uid?: number; readonly gid?: number } = {},
): Promise<{ readonly code: number | NodeJS.Signals; readonly stderr: string }> {
  const stdio: StdioOptions = ['ignore', 'inherit', 'pipe', ...fds];
  const child = spawn(`${PACKAGE_ROOT}/build/Release/${name}`, [], { ...user, stdio });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  await once(child, 'close');
  return { code: await endOf(child), stderr };
}
