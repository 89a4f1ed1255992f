/** `node scripts/walk.mjs`: each way of installation to a first link, with its time. As root, on Debian, with Docker. */
import { join } from 'node:path';
import { build } from 'esbuild';
import { ROOT } from './setup.mjs';

const outfile = join(ROOT, 'build/walk/walk.mjs'); // as deep as the sources, which look for the package above them
await build({
  entryPoints: [join(ROOT, 'test/e2e/packages/walk.ts')],
  ...{ outfile, bundle: true, platform: 'node', format: 'esm', packages: 'external' },
  logLevel: 'warning',
});
await import(outfile);
