/**
 * Input devices by what they are, not by the number that they happen to have: sysfs(5), /sys/class/input. It may
 * be read by anyone; nothing here opens a device.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InputMatch } from '../graph/link.js';

export interface EventDevice {
  /** As the kernel names it, `event3`. */
  readonly name: string;
  readonly major: number;
  readonly minor: number;
}

const FOLDER = '/sys/class/input';
/** Where the parts of a match are, below the folder of an event device. */
const FILES: Readonly<Record<keyof InputMatch, string>> = {
  name: 'device/name',
  phys: 'device/phys',
  vendor: 'device/id/vendor',
  product: 'device/id/product',
};

/** Those that match, in order of their numbers. Never rejects: what is unplugged meanwhile does not match. */
export async function findEventDevices(
  match: InputMatch,
  folder = FOLDER,
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
