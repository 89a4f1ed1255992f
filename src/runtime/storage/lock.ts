/**
 * Holds a folder for this process: of two that use one storage, the second is told so before it has touched anything.
 *
 * The lock is a unix socket without a file, named after the folder's device and inode: the kernel gives a name to one
 * process only, and takes it back however that process ends.
 */
import { statSync } from 'node:fs';
import net from 'node:net';

export interface Lock {
  release(): void;
}

/** Null: another process holds it. Rejects with the system's error. */
export function lockFolder(folder: string): Promise<Lock | null> {
  const { dev, ino } = statSync(folder, { bigint: true });
  const server = net.createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    server.listen(`\0pv-appengine:${dev}:${ino}`, () => {
      resolve({ release: () => server.close() });
    });
  });
}
