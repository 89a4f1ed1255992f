/**
 * Bundles the page of `pv-xconnect web` into dist/web/page, with all that it uses: nothing is loaded from elsewhere when
 * it is looked at. A step of the build, after tsc.
 */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const from = fileURLToPath(new URL('../src/web/page', import.meta.url));
const to = fileURLToPath(new URL('../dist/web/page', import.meta.url));

rmSync(to, { recursive: true, force: true });
mkdirSync(to, { recursive: true });
for (const file of ['index.html', 'icon.svg']) copyFileSync(join(from, file), join(to, file));
await build({
  entryPoints: { page: join(from, 'main.tsx') },
  outdir: to,
  tsconfig: join(from, 'tsconfig.json'),
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['chrome109', 'firefox115', 'safari16'],
  legalComments: 'eof', // their licences ask for it
  logLevel: 'warning',
});
