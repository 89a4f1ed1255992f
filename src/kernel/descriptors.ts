/** Descriptors as plain numbers, whose owner each function's comment names. */
import { closeSync } from 'node:fs';

/** Takes them. */
export function closeAll(fds: readonly number[]): void {
  for (const fd of fds) closeSync(fd);
}
