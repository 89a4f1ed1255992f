/**
 * A folder of the real host under /run, which containers cover with a /run of their own: where a symlink of a
 * container must not lead. Each has a name of its own, so that the leftovers of a killed run disturb no other.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { afterAll } from 'vitest';

/** Removed, with all that is in it, when the suite that asked for it ends. */
export function useHostFolder(): string {
  const folder = mkdtempSync('/run/pvx-host-');
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
