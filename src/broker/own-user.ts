/**
 * Picks the user that the daemon becomes: one that no other process has.
 *
 * What the kernel allows or limits by user (signals, /proc, keys, descriptors in transit, epoll watches) is then the
 * daemon's alone. The number is picked at random at each start, from a block that nothing else assigns: it is above the
 * numbers that useradd gives to users and to subordinate users, sssd to a domain, and systemd and other engines to
 * their containers. It is also far above the numbers in the files of images, which are numbers of the host in a
 * container without a user namespace. In a user namespace that lacks the block, the number is from the upper end of
 * that namespace. Numbers in use are skipped: users and groups of the system, their subordinate ids, the roles of the
 * hosted bus, and the ids of processes, including those that their user namespaces map.
 *
 * A lock is held until the exec, from which on the user is visible in /proc, so two daemons don't pick the same number.
 */
import { constants, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { native } from '../relay/native.js';

/** Both ends are included. */
export interface IdRange {
  readonly first: number;
  readonly last: number;
}

/** Ids as this user namespace counts them. */
export interface KnownIds {
  /** The ranges that our user namespace maps, of users and of groups. */
  readonly mapped: { readonly users: readonly IdRange[]; readonly groups: readonly IdRange[] };
  readonly taken: readonly IdRange[];
}

/** 65,536 numbers; systemd's "Users, Groups, UIDs and GIDs" lists who uses the other ones. */
export const OWN_BLOCK: IdRange = { first: 0x7f00_0000, last: 0x7f00_ffff };
/** root; systemd's DynamicUser; nobody, and the 16-bit number for "none". */
const SPOKEN_FOR: readonly IdRange[] = [
  { first: 0, last: 0 },
  { first: 61_184, last: 65_519 },
  { first: 65_534, last: 65_535 },
];
/** How many numbers to pick from in a user namespace that lacks our block. */
const SPAN = 8_192;
/** Random picks before the numbers are tried in order. */
const TRIES = 64;
/** The addon counts with 32 bits and a sign. */
const MAX_ID = 0x7fff_ffff;
/** A user namespace that maps this many ids maps nearly all: that tells nothing about the ids in use. */
const MAPS_ALL = 0x4000_0000;
const LOCK = '/run/pv-xconnect.user-lock';
const LOCK_TRIES = 250;
const LOCK_PAUSE_MS = 20;

/** The number of both user and group; null: none is free. `random`: like Math.random. */
export function pickId({ mapped, taken }: KnownIds, random: () => number): number | null {
  const isFree = (id: number) =>
    [mapped.users, mapped.groups].every((ranges) => isIn(ranges, id)) &&
    !isIn(SPOKEN_FOR, id) &&
    !isIn(taken, id);
  const upper = mapped.users.map(({ first, last }) => {
    const end = Math.min(last, MAX_ID);
    return { first: Math.max(first, end - SPAN), last: end };
  });
  for (const { first, last } of [OWN_BLOCK, ...upper.sort((a, b) => b.last - a.last)]) {
    const size = last - first + 1;
    for (let i = 0; i < TRIES; i++) {
      const id = first + Math.floor(random() * size);
      if (isFree(id)) return id;
    }
    for (let id = first; id <= last; id++) if (isFree(id)) return id;
  }
  return null;
}

/** To be called as root. `roles`: FIRST-LAST of the hosted bus, whose own user is FIRST - 1. Null: no user is free. */
export function ownUser(roles: string): number | null {
  takeLock();
  const [first = 0, last = -1] = roles.split('-').map(Number);
  const taken = [
    { first: first - 1, last },
    ...[read('/etc/passwd'), read('/etc/group')].flatMap(idsOfTable),
    ...[read('/etc/subuid'), read('/etc/subgid')].flatMap(subordinateIds),
    ...idsOfProcesses(),
  ];
  const mapped = {
    users: parseMap(read('/proc/self/uid_map'), 'inside'),
    groups: parseMap(read('/proc/self/gid_map'), 'inside'),
  };
  return pickId({ mapped, taken }, Math.random);
}

/** If the lock can't be had, which only root can cause, the random pick has to be enough. */
function takeLock(): void {
  try {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
    const fd = openSync(LOCK, flags, 0o600); // closed by the exec
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let i = 0; i < LOCK_TRIES && !native.lock(fd); i++)
      Atomics.wait(pause, 0, 0, LOCK_PAUSE_MS);
  } catch {
    // There is no /run that can be written.
  }
}

/** The third field of passwd(5) and of group(5). The group of a user is in group(5) too. */
export function idsOfTable(text: string): IdRange[] {
  return text.split('\n').flatMap((line) => {
    const id = Number(line.split(':')[2] || Number.NaN);
    return Number.isInteger(id) ? [{ first: id, last: id }] : [];
  });
}

/** The ranges of subuid(5), `name:first:count`. */
export function subordinateIds(text: string): IdRange[] {
  return text.split('\n').flatMap((line) => {
    const [, first, count] = line.split(':').map(Number);
    return first && count && first > 0 && count > 0 ? [{ first, last: first + count - 1 }] : [];
  });
}

/** The ranges of user_namespaces(7), `inside outside count`. */
export function parseMap(text: string, side: 'inside' | 'outside'): IdRange[] {
  return text.split('\n').flatMap((line) => {
    const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
    const first = side === 'inside' ? inside : outside;
    return count > 0 ? [{ first, last: first + count - 1 }] : [];
  });
}

/** The user and group ids of all processes, and the ids of ours that other user namespaces map. */
function idsOfProcesses(): IdRange[] {
  const ours = namespaceOf('self');
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const lines = read(`/proc/${pid}/status`).match(/^[UG]id:.*$/gm) ?? [];
      const own = lines.flatMap((line) => line.split(/\s+/).slice(1).map(Number));
      const ids = [...new Set(own)].map((id) => ({ first: id, last: id }));
      if (namespaceOf(pid) === ours) return ids;
      const maps = [`/proc/${pid}/uid_map`, `/proc/${pid}/gid_map`].map(read);
      const foreign = maps.flatMap((map) => parseMap(map, 'outside'));
      return [...ids, ...foreign.filter(({ first, last }) => last - first < MAPS_ALL)];
    });
}

/** Empty if the process has ended meanwhile. */
function namespaceOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/user`);
  } catch {
    return '';
  }
}

function isIn(ranges: readonly IdRange[], id: number): boolean {
  return ranges.some(({ first, last }) => id >= first && id <= last);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
