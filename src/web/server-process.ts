/**
 * The process that serves the page, or the metrics. It starts as a user of its own, without a capability, opens no socket
 * and no file but those of the page, and ends with its parent.
 */
import type http from 'node:http';
import type { Server, Socket } from 'node:net';
import { join } from 'node:path';
import { aboutOf, clientOf } from '../cli/connections.js';
import { declarationsOf } from '../cli/declaration.js';
import { explanations } from '../cli/explain.js';
import type { LiveLink } from '../cli/explanation.js';
import { revisionFromWire, type WireRevision } from '../graph/revision-wire.js';
import { native, PACKAGE_ROOT } from '../relay/native.js';
import type { ConnectionPage, ConnectionView } from '../status/connections.js';
import { PAGE_SERVER, type ServerWord } from './address.js';
import { Answers } from './answers.js';
import type { Start } from './apart.js';
import { Feed } from './feed.js';
import { Gate } from './gate.js';
import { metricsServer } from './metrics-server.js';
import type { Opened } from './opener.js';
import { pageServer } from './page-server.js';
import { Picture } from './picture.js';
import { Watcher } from './watcher.js';
import { type DetailConnection, type Details, MAX_CONNECTIONS } from './wire.js';

/** Exit code: 0 when the parent has left; 2 if there is none. */
export async function serveApart(word: ServerWord): Promise<number> {
  if (!process.send) {
    process.stderr.write(
      'pv-xconnect: this is started by pv-xconnect web or metrics, and not so.\n',
    );
    return 2;
  }
  const serverOf = word === PAGE_SERVER ? webServer : metricsOf;
  native.seal();
  native.noNewPrivileges();
  const answers = new Answers((ask) => {
    if (process.connected) process.send?.(ask);
  });
  const left = new Promise<void>((resolve) => process.once('disconnect', resolve));
  // The parent is told of them, and says when to end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => undefined);
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

function webServer(start: Start['start'], answers: Answers): http.Server {
  const picture = new Picture();
  const watcher = new Watcher(picture, answers, () => feed.changed());
  const feed = new Feed(picture, (count) => (count > 0 ? watcher.look() : watcher.rest()));
  return pageServer({
    gate: new Gate(start.token, start.port, start.names),
    feed,
    folder: join(PACKAGE_ROOT, 'dist/web/page'),
    details: (consumer, name, target) => detailsOf(answers, consumer, name, target),
  });
}

function metricsOf({ isLoopback, names }: Start['start'], answers: Answers): http.Server {
  const scrape = (accept: string | undefined) => answers.text('/metrics', {}, accept);
  return metricsServer({ names: isLoopback ? names : null, scrape });
}

/** The explanation is made anew at each look; what it takes is read then. */
async function detailsOf(
  answers: Answers,
  consumer: string,
  name: string,
  target: string,
): Promise<Details | null> {
  const [got, revision, page] = await Promise.all([
    answers.get('/links', { consumer, name, target }),
    answers.get('/revision'),
    answers.get('/connections', { consumer, name, target, limit: String(MAX_CONNECTIONS) }),
  ]);
  if (!got.ok) throw new Error(got.error);
  if (!revision.ok) throw new Error(revision.error);
  const [live] = got.value as readonly LiveLink[];
  if (!live) return null;
  const all =
    revision.value === null
      ? []
      : declarationsOf(revisionFromWire(revision.value as WireRevision)).all;
  const own = all.filter((one) => one.consumer === consumer && one.requirement.name === name);
  const [found] = explanations({ all: own, links: [live] }); // of what the daemon has, before what it lacks
  if (!found) return null;
  const { denied, audited, closes, socket } = live;
  const connections = page.ok ? (page.value as ConnectionPage).connections.map(connectionOf) : null;
  return { steps: found.steps, denied, audited: audited ?? {}, closes, socket, connections };
}

function connectionOf(one: ConnectionView): DetailConnection {
  const { since, process: client, bytes } = one;
  return {
    ...{ since, client: clientOf(one), uid: client?.uid ?? null, about: aboutOf(one) },
    ...{ toProvider: bytes.to_provider, toConsumer: bytes.to_consumer },
  };
}
