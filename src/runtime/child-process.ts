/** Child processes: how they are made without an exception, and how they end. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { exitText } from '../kernel/exit-text.js';
import { ok, type WhyResult } from '../kernel/result.js';

export type Child = ChildProcess & { readonly pid: number };

/** `why`: the words of Node.js, `spawn foo ENOENT`. */
export async function spawnChild(
  program: string,
  args: readonly string[],
  options: SpawnOptions,
): Promise<WhyResult<Child>> {
  try {
    const child = spawn(program, args, options);
    const failed = once(child, 'error') as Promise<[Error]>;
    child.on('error', () => undefined); // a signal that could not be sent is an error, too
    if (child.pid !== undefined) return ok(child as Child);
    const [error] = await failed;
    return { ok: false, why: error.message };
  } catch (thrown) {
    return { ok: false, why: (thrown as Error).message };
  }
}

/** How something ends that has done what it had to. */
export const CLEAN_EXIT = 'exit code 0';

/**
 * Resolves when it has ended, with how, for people: `exit code 1`, `signal SIGKILL`. To be called when it was made just
 * now. `close`: when its output has ended as well, whichever processes have that.
 */
export function exitOf(child: ChildProcess, event: 'exit' | 'close' = 'exit'): Promise<string> {
  return new Promise((resolve) => {
    child.once(event, (code: number | null, signal: NodeJS.Signals | null) =>
      resolve(signal ? `signal ${signal}` : exitText(code ?? 0)),
    );
  });
}

/** Whether there is such a program in one of the folders of `path`. */
export function isInstalled(tool: string, path = process.env.PATH ?? ''): boolean {
  return path.split(':').some((folder) => existsSync(join(folder, tool)));
}

/** To a process that `child` reaps: the number is that process's for as long as `child` has not ended. */
export function signalTo(child: Child, pid: number, signal: NodeJS.Signals | number): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile, which is what was wanted.
  }
}
