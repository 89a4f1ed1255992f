/** File systems of a container's own making (FUSE): one that takes its time, and one that shows what is not there. */
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

/** Answers no more once it has ended: whoever waits for it goes on, with an error. */
export interface FileSystem {
  line(): Promise<string>;
  end(): Promise<unknown>;
}

/** One file is in it, "file", and whoever closes that waits for ever; each of them is said in a line. */
export function mountUnflushed(on: TestContainer, where: string): Promise<FileSystem> {
  return mount(on, 'unflushed', where);
}

/** No file is in it, and each look for one takes so many seconds; each of them is said in a line. */
export function mountSlow(on: TestContainer, where: string, seconds: number): Promise<FileSystem> {
  return mount(on, 'slow', where, seconds);
}

/** Every name in it is a character device of these numbers. */
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
