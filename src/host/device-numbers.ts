/** Whether the kernel has a device behind the numbers of a node, as sysfs tells (sysfs(5): /sys/dev/char). */
import { access } from 'node:fs/promises';
import type { Node } from '../broker/devices.js';

const FOLDER = '/sys/dev/char';

/** True too where it can't be told: no sysfs is mounted. Never rejects. */
export async function hasDevice({ major, minor }: Pick<Node, 'major' | 'minor'>): Promise<boolean> {
  return (await isThere(`${FOLDER}/${major}:${minor}`)) || !(await isThere(FOLDER));
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
