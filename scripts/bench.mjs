// Compiles bench/ into build/bench and runs it with the arguments given.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const compiled = spawnSync(process.execPath, [tsc, '-p', `${root}/bench`], { stdio: 'inherit' });

if (compiled.status === 0) await import('../build/bench/main.js');
else process.exitCode = 1;
