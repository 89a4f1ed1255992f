/** File systems that a container makes by FUSE: slow ones, hanging ones, and one with made-up devices. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContainer } from './container.js';
import { Peer } from './peer-process.js';
import { endBy } from './processes.js';
import { pythonOf } from './python.js';

/** As `seconds`: longer than any test. */
export const FOR_EVER = 100_000;

async function mount(
  on: TestContainer,
  name: string,
  ...args: (string | number)[]
): Promise<FileSystem> {
  const program = pythonOf(import.meta.url, 'file-systems/fuse.py', `file-systems/${name}.py`);
  const child = on.run(['python3', '-c', program, ...args.map(String)]);
  child.stderr?.pipe(process.stderr);
  const peer = new Peer(child);
  const said = await peer.line();
  if (said !== 'mounted') throw new Error(`no file system "${name}" in ${on.name}`);
  return { line: () => peer.line(), end: () => endBy(child) };
}

/** When it has ended, pending operations fail and return. */
export interface FileSystem {
  line(): Promise<string>;
  end(): Promise<unknown>;
}

/** Mounts a file system with one file, "file", whose closing never ends; each close is reported in a line. */
export function mountUnflushed(on: TestContainer, where: string): Promise<FileSystem> {
  return mount(on, 'unflushed', where);
}

/** Mounts an empty file system in which each look-up takes so many seconds; each look-up is reported in a line. */
export function mountSlow(on: TestContainer, where: string, seconds: number): Promise<FileSystem> {
  return mount(on, 'slow', where, seconds);
}

/** Mounts a file system in which every name is a character device of these numbers. */
export function mountLying(
  on: TestContainer,
  where: string,
  major: number,
  minor: number,
): Promise<FileSystem> {
  return mount(on, 'lying', where, major, minor);
}

/** Holds what is planted in it; the returned function has it answer nothing any more. */
export async function mountStalling(on: TestContainer, where: string): Promise<() => void> {
  const flag = '/run/stall';
  await mount(on, 'stalling', where, flag);
  return () => writeFileSync(join(on.rootDir, flag), '');
}
