/**
 * The process that serves the page, or the metrics. It starts as a user of its own, without a capability, opens no socket
 * and no file but those of the page, and ends with its parent.
 */
import type http from 'node:http';
import type { Server, Socket } from 'node:net';
import { native } from '../relay/native.js';
import { PAGE_SERVER, type ServerWord } from './address.js';
import { Answers } from './answers.js';
import type { Start } from './apart.js';
import { metricsServer } from './metrics-server.js';
import type { Opened } from './opener.js';

/** Exit code: 0 when the parent has left; 2 if there is none. */
export async function serveFromParent(word: ServerWord): Promise<number> {
  if (!process.send) {
    process.stderr.write(
      'pv-xconnect: this is started by pv-xconnect web or metrics, and not so.\n',
    );
    return 2;
  }
  native.seal();
  native.noNewPrivileges();
  const answers = new Answers((ask) => {
    if (process.connected) process.send?.(ask);
  });
  const left = new Promise<void>((resolve) => process.once('disconnect', resolve));
  // The parent is told of them, and says when to end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => undefined);
  // Whoever serves the metrics loads nothing of the page.
  const serverOf = word === PAGE_SERVER ? (await import('./page.js')).pageOf : metricsOf;
  const serve = (start: Start['start'], listener: Server) => {
    const server = serverOf(start, answers);
    listener.on('connection', (socket) => server.emit('connection', socket));
    server.emit('listening'); // with which the server begins to look after its time limits
    process.send?.('serving');
  };
  process.on('message', (message, handle) => {
    if ('start' in Object(message)) serve((message as Start).start, handle as Server);
    else answers.receive(message as Opened, handle as Socket | undefined);
  });
  await left;
  process.exit(0); // browsers that look on keep nothing
}

function metricsOf({ isLoopback, names }: Start['start'], answers: Answers): http.Server {
  const scrape = (accept: string | undefined) => answers.text('/metrics', {}, accept);
  return metricsServer({ names: isLoopback ? names : null, scrape });
}
