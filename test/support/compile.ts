/** C programs that tests need, built when their sources changed. Two test processes may do so at once. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NATIVE = fileURLToPath(new URL('../../native', import.meta.url));
const SHARED = ['closer.c', 'filter.c', 'handover.c', 'message.c'];

/** All source files of that program, and every header that programs share. */
function sourcesOf(program: string): string[] {
  const own = readdirSync(join(NATIVE, program)).map((name) => join(program, name));
  const headers = readdirSync(NATIVE).filter((name) => name.endsWith('.h'));
  return [...own, ...SHARED, ...headers].map((name) => join(NATIVE, name));
}

export const brokerSources = () => sourcesOf('broker');
export const relaySources = () => sourcesOf('relay');

const FLAGS = ['-std=gnu2x', '-Wall', '-Wextra', '-O1', '-D_GNU_SOURCE'];

/** Path of the program. Headers, and what is `included` otherwise, are only looked at, for their age. */
export function compile(
  name: string,
  sources: readonly string[],
  flags: readonly string[] = [],
  included: readonly string[] = [],
) {
  const program = fileURLToPath(new URL(`../../build/test/${name}`, import.meta.url));
  const changed = Math.max(...[...sources, ...included].map((path) => statSync(path).mtimeMs));
  if (existsSync(program) && statSync(program).mtimeMs > changed) return program;
  mkdirSync(dirname(program), { recursive: true });
  const made = `${program}.${process.pid}`;
  const compiled = sources.filter((path) => path.endsWith('.c'));
  execFileSync('cc', [...FLAGS, ...flags, ...compiled, '-o', made], { stdio: 'inherit' });
  renameSync(made, program);
  return program;
}
