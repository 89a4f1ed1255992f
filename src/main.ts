/**
 * Entry of what runs in Node.js: the bundle (scripts/bundle.mjs) of the daemon, where the supervisor started it as that,
 * or else of the command line.
 *
 * The daemon's bundle has the code beside it that V8 made of it (code-cache.ts), as compiling it takes a fifth of a
 * start. V8 refuses what another version of it made, or one with other flags, and the daemon is compiled as usual then;
 * but of the source it compares nothing but the length, so the digest of the source stands before the code.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';

/** Of the daemon alone, see broker/supervisor.ts. */
const INCARNATION = 'PVX_INCARNATION';
/** The file that the code is written to when the daemon ends: code-cache.ts. */
const RECORD = 'PVX_CODE_CACHE';

function loadDaemon(path: string): void {
  const source = readFileSync(path, 'latin1'); // it is ASCII
  const digest = createHash('sha256').update(source).digest();
  const cachedData = codeOf(`${path}.cache`, digest);
  const script = new vm.Script(Module.wrap(source), {
    filename: path,
    ...(cachedData ? { cachedData } : {}),
  });
  const record = process.env[RECORD];
  if (record !== undefined) {
    process.once('exit', () =>
      writeFileSync(record, Buffer.concat([digest, script.createCachedData()])),
    );
  }
  const module = { exports: {}, importModule: (url: string) => import(url) };
  const run = script.runInThisContext();
  run(module.exports, createRequire(path), module, path, dirname(path));
}

function codeOf(path: string, digest: Buffer): Buffer | undefined {
  try {
    const cache = readFileSync(path);
    return cache.subarray(0, digest.length).equals(digest)
      ? cache.subarray(digest.length)
      : undefined;
  } catch {
    return undefined; // none was made, as in a package that was built for another machine
  }
}

if (process.env[INCARNATION] === undefined) {
  const commands: typeof import('./command-line.js') = await import(
    new URL('bundle/commands.js', import.meta.url).href
  );
  process.exitCode = await commands.runCommandLine();
} else {
  loadDaemon(fileURLToPath(new URL('bundle/daemon.cjs', import.meta.url)));
}
