/** Names of errors, as errno(3) has them: libuv's own list lacks some that the kernel gives. */
import { constants } from 'node:os';

const NAMES = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name]));
NAMES.set(constants.errno.EAGAIN, 'EAGAIN'); // not its alias EWOULDBLOCK

/** `ENOENT` for 2. A number that the system has no name for stays a number, `E4711`. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `E${errno}`;
}
