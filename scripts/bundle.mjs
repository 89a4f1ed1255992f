/**
 * Bundles what runs into dist/bundle, with source maps: a file for the daemon, which is loaded at once and by its code
 * cache (src/main.ts), one for the commands, one each for pv-appengine, pvcontrol and pventer, and what plugins import. Each is
 * self-contained, so nothing that only commands need is loaded by a daemon.
 *
 * Packages that a daemon may never need are left out of its file: they are in dist/bundle/node_modules, where Node.js
 * looks for them first. So are the compiled schemas (compile-schemas.mjs), of which each is loaded when it is asked for.
 */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BUNDLE = 'dist/bundle';
/** Loaded when a revision is read from an archive, metrics are asked for, or a plugin brings options. */
const SELDOM = ['ajv', 'prom-client', 'tar'];

const common = {
  metafile: true,
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  // Names stay, for the stacks of bugs; V8 keeps the source in memory, so the rest goes.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none', // in the licences beside the package
  logLevel: 'warning',
};
const module = {
  ...common,
  format: 'esm',
  banner: {
    js: "import{createRequire as requireOf}from'node:module';const require=requireOf(import.meta.url);",
  },
};
const script = { ...common, format: 'cjs', sourcemap: false };

rmSync(join(ROOT, BUNDLE), { recursive: true, force: true });
const schemas = readdirSync(join(ROOT, 'dist/manifest/compiled'));
const built = await Promise.all([
  build({
    ...common,
    format: 'cjs',
    entryPoints: { daemon: 'src/run-daemon.ts' },
    outdir: BUNDLE,
    outExtension: { '.js': '.cjs' },
    external: SELDOM,
    define: { 'import.meta.url': 'ownUrl' },
    banner: { js: "const ownUrl=require('node:url').pathToFileURL(__filename).href;" },
  }),
  build({
    ...module,
    entryPoints: {
      commands: 'src/command-line.ts',
      appengine: 'src/runtime/main.ts',
      pvcontrol: 'src/cli/pvcontrol/main.ts',
      pventer: 'src/cli/pventer/main.ts',
      plugin: 'src/plugin.ts',
    },
    outdir: BUNDLE,
  }),
  build({
    ...script,
    entryPoints: schemas.map((name) => `dist/manifest/compiled/${name}`),
    outdir: `${BUNDLE}/compiled`,
    outExtension: { '.js': '.cjs' },
  }),
  build({
    ...script,
    entryPoints: SELDOM.map((name) => ({ in: name, out: name })),
    outdir: `${BUNDLE}/node_modules`,
  }),
]);
const metafiles = built.map(({ metafile }) => metafile);
// For the test of what the daemon loads, and for the licences of what is in all of them.
writeFileSync(join(ROOT, 'dist/daemon-bundle.json'), JSON.stringify(metafiles[0]));
const inputs = metafiles.flatMap((metafile) => Object.keys(metafile.inputs));
const folders = inputs.map((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
const packages = [...new Set(folders.filter((folder) => folder !== undefined))].sort();
writeFileSync(join(ROOT, 'dist/bundled-packages.json'), JSON.stringify(packages));
