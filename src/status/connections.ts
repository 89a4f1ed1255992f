/**
 * `GET /connections?consumer=&name=`: the open connections of links, a page at a time, and `GET /connections/ends` with
 * the same question: each connection that ends, as server-sent events.
 *
 * Nothing of it costs anything while nobody asks. A page goes on behind the place where the one before it ended, so what
 * comes and goes meanwhile moves no other connection into or out of a page.
 */
import type { ServerResponse } from 'node:http';
import { addressText } from '../kernel/ip-address.js';
import type { ConnectionAbout, OnConnectionEnd, OpenConnection } from '../mesh/attacher.js';
import { type ClientProcess, ClientProcesses } from './client-process.js';
import type { StatsOf } from './graph-view.js';
import { linksAsked } from './links-asked.js';
import { Listeners } from './listeners.js';
import type { LinkStatus, StatusStore } from './store.js';

/** What the mesh knows of the connections of a link. */
export interface ConnectionSource {
  connections(link: string): Promise<OpenConnection[]>;
  watch(link: string, onEnd: OnConnectionEnd): () => void;
}

export interface ConnectionView extends ConnectionAbout {
  readonly consumer: string;
  readonly name: string;
  readonly target: string;
  /** Of its link. */
  readonly id: string;
  /** ISO 8601, UTC. */
  readonly since: string;
  /** `waiting`: for the provider. */
  readonly state: 'open' | 'waiting';
  readonly bytes: { readonly to_provider: number; readonly to_consumer: number };
  /** Null: it came from an address, or that can't be known. */
  readonly process: ClientProcess | null;
  /** `IP:PORT`; null: it came from a process. */
  readonly address: string | null;
}

export interface ConnectionPage {
  readonly connections: readonly ConnectionView[];
  /** For `after` of the next page; null: this is the last one. */
  readonly next: string | null;
}

const PAGE = 200;
const MAX_PAGE = 1_000;
const MAX_LISTENERS = 4;
/** Unread bytes of a listener: beyond them ends are left out, and it is told how many. */
const MAX_BACKLOG = 1024 * 1024;

/** `asked`: `consumer` and `name`, all where absent; `limit`, `after`. */
export async function connectionPage(
  store: StatusStore,
  stats: StatsOf,
  source: ConnectionSource,
  asked: URLSearchParams,
): Promise<ConnectionPage> {
  const limit = Math.min(Math.max(1, Number(asked.get('limit')) || PAGE), MAX_PAGE);
  const after = placeOf(asked.get('after'));
  const processes = new ClientProcesses();
  const found: ConnectionView[] = [];
  let last: string | null = null;
  // By their identity: a link that leaves meanwhile moves no other one.
  const links = linksAsked(store, asked).sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const status of links) {
    // Where links share an address, they count requests, and connections are open without one.
    const mayHave = status.link.type === 'http' || stats(status.id)?.active;
    if (status.id < after.link || !mayHave) continue;
    for (const connection of await source.connections(status.id)) {
      if (status.id === after.link && !isBehind(connection.place, after.place)) continue;
      if (found.length === limit) return { connections: found, next: last };
      found.push(viewOf(status, connection, processes));
      last = `${status.id}#${connection.place.join('.')}`;
    }
  }
  return { connections: found, next: null };
}

function placeOf(after: string | null): { link: string; place: readonly [number, number] } {
  const [, link = '', part = '0', number = '0'] = /^(.*)#(\d+)\.(\d+)$/.exec(after ?? '') ?? [];
  return { link, place: [Number(part), Number(number)] };
}

function isBehind([part, number]: OpenConnection['place'], after: readonly [number, number]) {
  return part > after[0] || (part === after[0] && number > after[1]);
}

function viewOf(
  { link: { consumer, name, target } }: LinkStatus,
  { place, since, joined, peer, toProvider, toConsumer, about }: OpenConnection,
  processes: ClientProcesses,
): ConnectionView {
  return {
    ...{ consumer, name, target, id: place.join('.') },
    since: new Date(since).toISOString(),
    state: joined ? 'open' : 'waiting',
    bytes: { to_provider: toProvider, to_consumer: toConsumer },
    process: peer && 'pid' in peer ? processes.of(peer, since) : null,
    address: peer && 'ip' in peer ? addressText(peer) : null,
    ...about,
  };
}

/** Who listens to the ends of connections. */
export class ConnectionEnds {
  readonly #store: StatusStore;
  readonly #source: ConnectionSource;
  readonly listeners = new Listeners(MAX_LISTENERS);

  constructor(store: StatusStore, source: ConnectionSource) {
    this.#store = store;
    this.#source = source;
  }

  /** Takes the response, whose head is not sent yet. The links that there are now are watched. */
  add(response: ServerResponse, asked: URLSearchParams): void {
    const processes = new ClientProcesses();
    let lost = 0;
    const tell = (status: LinkStatus): OnConnectionEnd => {
      return (connection, reason) => {
        if (response.writableLength > MAX_BACKLOG) {
          lost++;
          return;
        }
        if (lost > 0) response.write(`event: lost\ndata: {"lost":${lost}}\n\n`);
        lost = 0;
        const at = new Date().toISOString();
        const data = { ...viewOf(status, connection, processes), reason, ended: at };
        response.write(`event: end\ndata: ${JSON.stringify(data)}\n\n`);
      };
    };
    this.listeners.add(response, () => {
      const links = linksAsked(this.#store, asked);
      const ends = links.map((status) => this.#source.watch(status.id, tell(status)));
      // Who is there now may have ended when its connection has, and could not be asked any more.
      for (const { id } of links) {
        void this.#source.connections(id).then((all) => {
          for (const { peer, since } of all) if (peer && 'pid' in peer) processes.of(peer, since);
        });
      }
      return ends;
    });
  }
}
