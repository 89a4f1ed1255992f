/** A root file system of this machine's own programs, where there is no registry to have an image from. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Copies a file or folder of the host into the one of the image. */
export function put(folder: string, path: string, at = path): void {
  mkdirSync(join(folder, dirname(at)), { recursive: true });
  cpSync(path, join(folder, at), { recursive: true, dereference: true });
}

/** With its libraries. */
function putProgram(folder: string, path: string, at: string): void {
  put(folder, path, at);
  const libraries = execFileSync('ldd', [path], { encoding: 'utf8' }).matchAll(/\s(\/\S+)/g);
  for (const [, library = ''] of libraries) put(folder, library);
}

/** Node.js and a shell. */
export function makeNodeImage(folder: string): void {
  putProgram(folder, realpathSync(process.execPath), '/usr/bin/node');
  putProgram(
    folder,
    execFileSync('which', ['busybox'], { encoding: 'utf8' }).trim(),
    '/bin/busybox',
  );
  for (const name of ['/bin/sh', '/usr/bin/env', '/usr/bin/readlink']) {
    symlinkSync('/bin/busybox', join(folder, name));
  }
  for (const empty of ['/proc', '/sys', '/dev', '/tmp', '/run', '/etc', '/var']) {
    mkdirSync(join(folder, empty), { recursive: true });
  }
  symlinkSync('/run', join(folder, '/var/run')); // where D-Bus libraries look for the bus
}
