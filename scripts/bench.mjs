// Compiles bench/ into build/bench and runs it with the arguments given; `http` or `dbus` as the first one: that part.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { guardOutput } from './setup.mjs';

guardOutput(() => process.kill(process.pid, 'SIGTERM')); // which stops what was started, too
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
