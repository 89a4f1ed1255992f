/** The cgroups that lxc makes for a container, on every hierarchy of the host. */
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

const CGROUPS = '/sys/fs/cgroup';

/** The host has cgroups of version 2 alone. */
export function isUnified(): boolean {
  return existsSync(join(CGROUPS, 'cgroup.controllers'));
}

/** Empty cgroups of a container that was killed: lxc would choose other names beside them. */
export function removeCgroups(container: string): void {
  const names = [`lxc.payload.${container}`, `lxc.monitor.${container}`];
  const hierarchies = [CGROUPS, ...foldersIn(CGROUPS)];
  for (const folder of hierarchies) for (const name of names) removeEmpty(join(folder, name));
}

function removeEmpty(cgroup: string): void {
  if (!existsSync(cgroup)) return;
  for (const child of foldersIn(cgroup)) removeEmpty(child);
  try {
    rmdirSync(cgroup);
  } catch {
    // Something is in it: it belongs to somebody.
  }
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(folder, name));
  } catch {
    return [];
  }
}
