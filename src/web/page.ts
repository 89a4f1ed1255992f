/** The server of the page, with what the page shows: all of it is asked of the daemon. */
import type { Server } from 'node:http';
import { join } from 'node:path';
import { aboutOf, clientOf } from '../cli/connections.js';
import { declarationsOf } from '../cli/declaration.js';
import { explanations } from '../cli/explain.js';
import type { LiveLink } from '../cli/explanation.js';
import { revisionFromWire, type WireRevision } from '../graph/revision-wire.js';
import { PACKAGE_ROOT } from '../relay/native.js';
import type { ConnectionPage, ConnectionView } from '../status/connections.js';
import type { Answers } from './answers.js';
import type { Start } from './apart.js';
import { Feed } from './feed.js';
import { Gate } from './gate.js';
import { pageServer } from './page-server.js';
import { Picture } from './picture.js';
import { Watcher } from './watcher.js';
import { type DetailConnection, type Details, MAX_CONNECTIONS } from './wire.js';

export function pageOf(start: Start['start'], answers: Answers): Server {
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
