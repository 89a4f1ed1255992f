/** A program to its end, beside this process, which may serve it meanwhile. */
import { execFile } from 'node:child_process';

interface Options {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** All that it printed to standard output. Rejects where it fails. */
export function runApart(
  [program = '', ...args]: readonly string[],
  options: Options = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { ...options, timeout: 30_000 }, (error, out, err) => {
      if (error) reject(new Error(`${program} failed: ${error.message} ${err}`));
      else resolve(out);
    });
  });
}
