/** Closing of descriptors, which are plain numbers here. */
import { closeSync } from 'node:fs';

type Close = (fds: readonly number[]) => void;

let close: Close = (fds) => {
  for (const fd of fds) closeSync(fd);
};

/** Takes the descriptors. Closing one that came from a container may take for ever, so this does not wait for it. */
export function closeAll(fds: readonly number[]): void {
  if (fds.length > 0) close(fds);
}

/** From now on `closer` closes them. relay/closing.ts sets it, to close them in threads. */
export function closeBy(closer: Close): void {
  close = closer;
}
