/** A root for containers in tests: busybox with its applets and the libraries that it needs, and one script. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

const APPLETS = [
  'sh',
  'cat',
  'id',
  'ip',
  'ls',
  'nc',
  'sleep',
  'touch',
  'hostname',
  'mkdir',
  'wget',
];

/** `init`: what `/init` is, a shell script without its first line. */
export function busyboxRoot(folder: string, init: string): void {
  for (const name of ['bin', 'dev', 'etc', 'proc', 'run', 'sys', 'tmp']) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  const busybox = execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
  copyFileSync(busybox, join(folder, 'bin/busybox'));
  chmodSync(join(folder, 'bin/busybox'), 0o755);
  for (const library of librariesOf(busybox)) {
    mkdirSync(join(folder, dirname(library)), { recursive: true });
    copyFileSync(realpathSync(library), join(folder, library));
    chmodSync(join(folder, library), 0o755);
  }
  for (const applet of APPLETS) symlinkSync('busybox', join(folder, 'bin', applet));
  writeFileSync(join(folder, 'init'), `#!/bin/sh\n${init}\n`, { mode: 0o755 });
}

/** None where it is linked statically. */
function librariesOf(program: string): string[] {
  try {
    const said = execFileSync('ldd', [program], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return [...said.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path as string);
  } catch {
    return [];
  }
}
