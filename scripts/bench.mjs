/**
 * `npm run bench [-- [http|dbus] ARGUMENTS...]`: sets up, compiles bench/ into build/bench and runs it with the
 * arguments. With `http` or `dbus` first, only that part.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { guardOutput, setUp } from './setup.mjs';

guardOutput(() => process.kill(process.pid, 'SIGTERM')); // its handler stops what the benchmark started
setUp();
const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const compiled = spawnSync(process.execPath, [tsc, '-p', `${root}/bench`], { stdio: 'inherit' });
const [first] = process.argv.slice(2);

if (compiled.status !== 0) {
  process.exitCode = 1;
} else if (first === 'http' || first === 'dbus') {
  process.argv.splice(2, 1);
  await import(`../build/bench/${first}/main.js`);
} else {
  await import('../build/bench/main.js');
}
