/**
 * Unpacks a squashfs, within bounds: an image of a few KiB may hold many GiB, or millions of files. So it is listed first,
 * and only one that keeps to its limits, and has room on the disk, is unpacked. What was begun and failed is removed.
 *
 * Files are counted as large as they say, each name of one with several names again: so no image passes by holes or hard
 * links that is too large without them.
 */
import { readdirSync, renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { ok, type WhyResult } from '../../../kernel/result.js';
import { CLEAN_EXIT, exitOf, spawnChild } from '../../child-process.js';

export interface UnpackLimits {
  /** Files, folders and others. */
  readonly entries: number;
  readonly bytes: number;
}

/** Several times what a whole distribution has. */
const MAX_ENTRIES = 500_000;
/** What any image may unpack to; a small one is common where one program has many names. */
const MIN_BYTES = 1024 ** 3;
/** Beyond that: to so many times its own size. Real ones stay far below. */
const MAX_RATIO = 100;
/** For the listing, and for the unpacking. */
const MAX_MS = 600_000;
/** A folder that is being unpacked, beside the one that it becomes. */
const DRAFT = '.draft';

export function limitsOf(image: string): UnpackLimits {
  return { entries: MAX_ENTRIES, bytes: Math.max(MIN_BYTES, statSync(image).size * MAX_RATIO) };
}

/** Makes `folder` of it; its parent has to be there. `why`: what the sentence "it can't be unpacked (...)" has in it. */
export async function unpackSquashfs(
  image: string,
  folder: string,
  limits = limitsOf(image),
): Promise<WhyResult<undefined>> {
  const fits = await keepsTo(limits, image, dirname(folder));
  if (!fits.ok) return fits;
  const draft = `${folder}${DRAFT}`;
  rmSync(draft, { recursive: true, force: true });
  const made = await unsquashfs(['-quiet', '-no-progress', '-dest', draft, image]);
  if (made.ok) renameSync(draft, folder);
  else rmSync(draft, { recursive: true, force: true });
  return made;
}

async function keepsTo(
  { bytes, entries }: UnpackLimits,
  image: string,
  parent: string,
): Promise<WhyResult<undefined>> {
  const { bavail, bsize } = statfsSync(parent);
  const free = bavail * bsize;
  let [count, size] = [0, 0];
  return unsquashfs(['-lln', image], (line) => {
    count++; // a name with newlines counts as several, and may only count too much
    size += sizeIn(line);
    if (count > entries) return `it has more than ${entries} files and folders`;
    if (size > bytes)
      return `its files have more than ${mib(bytes)} MiB, the most for an image of that size`;
    if (size > free) return `its files have more than the ${mib(free)} MiB that are free`;
    return null;
  });
}

/** Of a regular file as `ls -ln` shows it; 0 for everything else. */
function sizeIn(line: string): number {
  return Number(/^-\S{9} \d+\/\d+ +(\d+) /.exec(line)?.[1] ?? 0);
}

function mib(bytes: number): number {
  return Math.floor(bytes / 1024 ** 2);
}

/** Runs it to its end, or until `look` says what is wrong with a line of its output. It ends with this process. */
async function unsquashfs(
  args: readonly string[],
  look: (line: string) => string | null = () => null,
): Promise<WhyResult<undefined>> {
  const spawned = await spawnChild('setpriv', ['--pdeathsig', 'KILL', 'unsquashfs', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (!spawned.ok) return spawned;
  const child = spawned.value;
  const exited = exitOf(child);
  const timer = setTimeout(() => child.kill('SIGKILL'), MAX_MS);
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = `${complaint}${chunk}`.slice(0, 1024);
  });
  let fault: string | null = null;
  for await (const line of createInterface(child.stdout as Readable)) {
    fault = look(line);
    if (fault === null) continue;
    child.kill('SIGKILL');
    child.stdout?.destroy();
    break;
  }
  const how = await exited;
  clearTimeout(timer);
  if (fault !== null) return { ok: false, why: fault };
  if (how === CLEAN_EXIT) return ok(undefined);
  return { ok: false, why: complaint.trim().split('\n', 1)[0] || how };
}

/** What a process that was killed has left half unpacked below `parent`, which has to be there. */
export function removeDrafts(parent: string): void {
  for (const name of readdirSync(parent).filter((one) => one.endsWith(DRAFT))) {
    rmSync(join(parent, name), { recursive: true, force: true });
  }
}
