/**
 * The users that the two processes of `pv-xconnect web` become, if they are started as root. Pure.
 *
 * They are numbers that nothing else assigns, next to those of the daemon and the relay
 * (native/supervisor/own-user.c), and two for each command, so that neither process can trace or signal the other.
 */

/** 65,536 of them. */
const FIRST = 0x7f010000;
const PAIRS = 0x8000;

export interface Identities {
  /** Who connects to the control socket. */
  readonly opener: number;
  /** Who serves the page. */
  readonly server: number;
}

/**
 * `pid`: the command's, which no other one has now. `map`: /proc/self/uid_map, which user_namespaces(7) describes. In a
 * user namespace that lacks these numbers, they are its two highest. Null: it has only one, and nobody else can be become.
 */
export function identitiesFor(pid: number, map: string): Identities | null {
  const ranges = map
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([first = 0, , count = 0]) => ({ first, last: Math.min(first + count - 1, 0x7fffffff) }));
  const opener = FIRST + 2 * (pid % PAIRS);
  const isMapped = (id: number) => ranges.some(({ first, last }) => id >= first && id <= last);
  if (isMapped(opener) && isMapped(opener + 1)) return { opener, server: opener + 1 };
  const highest = ranges.reduce((top, one) => (one.last > top.last ? one : top), {
    first: 0,
    last: 0,
  });
  if (highest.last - highest.first < 2) return null;
  return { opener: highest.last - 1, server: highest.last };
}
