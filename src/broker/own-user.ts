/**
 * Whom the daemon becomes: a user that nobody else is.
 *
 * What the kernel allows or counts by user is then the daemon's alone: signals, /proc, keys, descriptors under way,
 * watches of epoll. It is picked anew at each start, by chance, from a block that nobody hands out: above what useradd
 * gives to users and their subordinates, sssd to a domain, systemd to its containers, engines to theirs, and far
 * above the numbers that files of images name, for in a container without a user namespace those are the host's. In a
 * user namespace that lacks the block it is one of the namespace's own, from its upper end. What is in use is passed
 * over all the same: users and groups of the system, their subordinate ids, roles of the hosted bus, and those of
 * processes, their user namespaces included.
 *
 * A lock is held from the look until the exec, when everybody sees the user in /proc: two daemons don't share one.
 */
import { constants, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { native } from '../relay/native.js';

/** Both ends belong to it. */
export interface IdRange {
  readonly first: number;
  readonly last: number;
}

/** Ids of the host as they are seen from here. */
export interface KnownIds {
  /** A line each is mapped in our user namespace; users and groups. */
  readonly mapped: { readonly users: readonly IdRange[]; readonly groups: readonly IdRange[] };
  readonly taken: readonly IdRange[];
}

/** 65,536 of them, see systemd's "Users, Groups, UIDs and GIDs" for whose the others are. */
export const OWN_BLOCK: IdRange = { first: 0x7f00_0000, last: 0x7f00_ffff };
/** systemd's DynamicUser; nobody, and what 16 bits have for "none". */
const SPOKEN_FOR: readonly IdRange[] = [
  { first: 0, last: 0 },
  { first: 61_184, last: 65_519 },
  { first: 65_534, last: 65_535 },
];
/** How many there are to pick from in a user namespace that lacks our block. */
const SPAN = 8_192;
/** By chance; then in order. */
const TRIES = 64;
/** The addon counts with 32 bits and a sign. */
const MAX_ID = 0x7fff_ffff;
/** A user namespace that maps so many maps all: it says nothing of who is in use. */
const MAPS_ALL = 0x4000_0000;
const LOCK = '/run/pv-xconnect.user-lock';
const LOCK_TRIES = 250;
const LOCK_PAUSE_MS = 20;

/** User and group have the same number. Null: none is free. `random`: from 0 to below 1. */
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

/** As root. `roles`: FIRST-LAST of the hosted bus, whose own user is the one below. Null: no user is free here. */
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

/** Without it, which is nobody's but root's to prevent, chance has to do. */
function takeLock(): void {
  try {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
    const fd = openSync(LOCK, flags, 0o600); // closed by the exec
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let i = 0; i < LOCK_TRIES && !native.lock(fd); i++)
      Atomics.wait(pause, 0, 0, LOCK_PAUSE_MS);
  } catch {
    // No /run that can be written.
  }
}

/** passwd(5) gives two ids a line, group(5) one: a user's group is a group's. */
export function idsOfTable(text: string): IdRange[] {
  return text.split('\n').flatMap((line) => {
    const id = Number(line.split(':')[2] || Number.NaN);
    return Number.isInteger(id) ? [{ first: id, last: id }] : [];
  });
}

/** subuid(5): name:first:count. */
export function subordinateIds(text: string): IdRange[] {
  return text.split('\n').flatMap((line) => {
    const [, first, count] = line.split(':').map(Number);
    return first && count && first > 0 && count > 0 ? [{ first, last: first + count - 1 }] : [];
  });
}

/** user_namespaces(7): inside, outside, count. */
export function parseMap(text: string, side: 'inside' | 'outside'): IdRange[] {
  return text.split('\n').flatMap((line) => {
    const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
    const first = side === 'inside' ? inside : outside;
    return count > 0 ? [{ first, last: first + count - 1 }] : [];
  });
}

/** Real, effective, saved and of the file system, of user and group; and what other user namespaces map to ours. */
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

/** A process that is gone meanwhile has none. */
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
