/** C programs that tests need, built when their sources changed. Two test processes may do so at once. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** All source files of that program, and its headers. */
function sourcesOf(program: string, shared: readonly string[]): string[] {
  const native = fileURLToPath(new URL('../../native', import.meta.url));
  const own = readdirSync(join(native, program)).map((name) => join(native, program, name));
  return [...own, ...shared.map((name) => join(native, name))];
}

const SHARED = [
  ...['closer', 'filter', 'handover', 'message'].flatMap((name) => [`${name}.c`, `${name}.h`]),
  ...['process.h', 'protocol.h'],
];

export const brokerSources = () => sourcesOf('broker', SHARED);
export const relaySources = () => sourcesOf('relay', [...SHARED, 'list.h', 'relay-protocol.h']);

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
