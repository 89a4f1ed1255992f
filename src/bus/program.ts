/** pvx-bus, before it runs: where its folders are, and what it is started with. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ok, type WhyResult } from '../kernel/result.js';
import { native, PACKAGE_ROOT, SOCKET_TYPES } from '../relay/native.js';
import { SOCKET_NAME } from './configuration.js';
import type { UidRange } from './uid-book.js';

export interface BusPlaces {
  /** Folder of the socket and the configuration of the bus; only root and the bus's user may enter it. */
  readonly folder: string;
  readonly socket: string;
  /** Of the role uids. */
  readonly store: string;
}

export const DEFAULT_UIDS: UidRange = { first: 200_000, last: 265_535 };
const PROGRAM = `${PACKAGE_ROOT}/build/Release/pvx-bus`;

/** `control`: the daemon's control socket, which it is beside. `storage`: what outlives a restart is below it. */
export function busPlaces(control: string, storage: string): BusPlaces {
  const folder = join(dirname(control), 'bus');
  return { folder, socket: join(folder, SOCKET_NAME), store: join(storage, 'bus') };
}

/** Program and arguments. Where it can't run it says so itself. */
export function busCommand({ folder, store }: BusPlaces, { first, last }: UidRange): string[] {
  return [PROGRAM, '--folder', folder, '--store', store, '--uids', `${first}-${last}`];
}

/** `fd`: for a Keeper. */
export interface SpawnedBus {
  readonly child: ChildProcess;
  readonly fd: number;
}

/**
 * For whoever stays root, and so can start it again; the daemon's is started by `launch`. The descriptor is the
 * caller's. `why`: the end of a sentence.
 */
export function spawnBus([program, ...args]: readonly string[]): WhyResult<SpawnedBus> {
  let fd = -1;
  let theirs = -1;
  try {
    [fd, theirs] = native.socketPair(SOCKET_TYPES.seqpacket);
    const child = spawn(program as string, args, {
      stdio: ['ignore', 'inherit', 'inherit', theirs],
      detached: true, // what a terminal says to all of its processes is not for the bus
    });
    child.on('error', () => undefined); // told by the absence of a pid; a signal that could not be sent is one, too
    if (child.pid === undefined) throw new Error(`${program} can't be executed`);
    return ok({ child, fd });
  } catch (thrown) {
    if (fd >= 0) closeSync(fd);
    return { ok: false, why: (thrown as Error).message };
  } finally {
    if (theirs >= 0) closeSync(theirs);
  }
}

/** Parses `FIRST-LAST`; null if that is no range, or if it contains users of the system. */
export function parseRange(text: string): UidRange | null {
  const [, first, last] = (/^(\d{1,10})-(\d{1,10})$/.exec(text) ?? []).map(Number);
  if (first === undefined || last === undefined) return null;
  return first > LAST_OF_SYSTEM && first <= last && last < MAX_UID ? { first, last } : null;
}

/** 65534 is nobody; below it are the host's own users, and root. */
const LAST_OF_SYSTEM = 65_535;
/** pvx-bus and the addon count with 32 bits and a sign. */
const MAX_UID = 0x7fff_ffff;
