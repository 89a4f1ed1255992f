/** Descriptors as plain numbers, whose owner each function's comment names. */
import { closeSync } from 'node:fs';

type Close = (fds: readonly number[]) => void;

let close: Close = (fds) => {
  for (const fd of fds) closeSync(fd);
};

/** Takes them. They may have come from anybody: nobody waits until they are closed. */
export function closeAll(fds: readonly number[]): void {
  if (fds.length > 0) close(fds);
}

/** For relay/closing.ts, which has threads for it: whoever closes them from now on. */
export function closeBy(closer: Close): void {
  close = closer;
}
