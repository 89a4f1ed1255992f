/** A control server at a path, as the daemon has it: what connects is handed over, with the user that it is. */
import net from 'node:net';
import type { Accepting, ControlServer } from '../../src/status/server.js';

/** Resolves when it can be reached. `uid`: whom all clients are taken for; null: that is not known. */
export async function listenAt(server: ControlServer, path: string, uid: number | null = 0) {
  const listener = net.createServer({ allowHalfOpen: true }, (socket) =>
    accepting.onSocket?.(socket, uid === null ? undefined : { pid: 12, uid }),
  );
  const accepting: Accepting = { onSocket: null, close: () => void listener.close() };
  server.serve(accepting);
  await new Promise<void>((resolve) => listener.listen(path, resolve));
}
