/** File systems of a container's own making (FUSE): one that takes its time, and one that shows what is not there. */
import { readFileSync } from 'node:fs';
import type { TestContainer } from './container.js';
import { Peer } from './peer-process.js';

/** As `seconds`: longer than any test. */
export const FOR_EVER = 100_000;

function program(name: string): string {
  const text = (file: string) =>
    readFileSync(new URL(`file-systems/${file}.py`, import.meta.url), 'utf8');
  return `${text('fuse')}\n${text(name)}`;
}

async function mount(on: TestContainer, name: string, ...args: (string | number)[]) {
  const child = on.run(['python3', '-c', program(name), ...args.map(String)]);
  child.stderr?.pipe(process.stderr);
  const said = await new Peer(child).line();
  if (said !== 'mounted') throw new Error(`no file system "${name}" in ${on.name}`);
}

/** No file is in it, and each look for one takes so many seconds. */
export function mountSlow(on: TestContainer, where: string, seconds: number): Promise<void> {
  return mount(on, 'slow', where, seconds);
}

/** Every name in it is a character device of these numbers. */
export function mountLying(
  on: TestContainer,
  where: string,
  major: number,
  minor: number,
): Promise<void> {
  return mount(on, 'lying', where, major, minor);
}
