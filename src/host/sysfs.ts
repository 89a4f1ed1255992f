/**
 * Devices as sysfs(5) tells of them. It may be read by anyone; nothing here opens a device.
 */
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Node } from '../broker/devices.js';
import type { InputMatch } from '../graph/link.js';

const CHARACTER_DEVICES = '/sys/dev/char';
const INPUT_DEVICES = '/sys/class/input';
/** Where the parts of a match are, below the folder of an event device. */
const FILES: Readonly<Record<keyof InputMatch, string>> = {
  name: 'device/name',
  phys: 'device/phys',
  vendor: 'device/id/vendor',
  product: 'device/id/product',
};

/**
 * Whether the kernel has a device behind the numbers of a node. True too where it can't be told: no sysfs is mounted. Never
 * rejects.
 */
export async function hasDevice({ major, minor }: Pick<Node, 'major' | 'minor'>): Promise<boolean> {
  return (
    (await isThere(`${CHARACTER_DEVICES}/${major}:${minor}`)) || !(await isThere(CHARACTER_DEVICES))
  );
}

export interface EventDevice {
  /** As the kernel names it, `event3`. */
  readonly name: string;
  readonly major: number;
  readonly minor: number;
}

/**
 * Input devices by what they are, not by the number that they happen to have. Those that match, in order of their
 * numbers. Never rejects: what is unplugged meanwhile does not match.
 */
export async function findEventDevices(
  match: InputMatch,
  folder = INPUT_DEVICES,
): Promise<readonly EventDevice[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => /^event\d+$/.test(name));
  const found = await Promise.all(names.map((name) => look(join(folder, name), name, match)));
  return found
    .filter((device) => device !== null)
    .sort((a, b) => a.minor - b.minor || a.name.localeCompare(b.name));
}

async function look(folder: string, name: string, match: InputMatch): Promise<EventDevice | null> {
  for (const [part, wanted] of Object.entries(match)) {
    const text = await read(join(folder, FILES[part as keyof InputMatch]));
    if (text !== wanted) return null;
  }
  const numbers = /^(\d+):(\d+)$/.exec((await read(join(folder, 'dev'))) ?? '');
  return numbers && { name, major: Number(numbers[1]), minor: Number(numbers[2]) };
}

/** A file of sysfs is a line, of at most a page. */
async function read(path: string): Promise<string | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  return text?.replace(/\n$/, '') ?? null;
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
