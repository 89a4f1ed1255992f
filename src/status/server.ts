/**
 * The daemon's control socket: what its links do, for people and scripts, and what it can be asked to do: an
 * upgrade, to try a link by one connection, and what root may have of a link for a while. HTTP/1.0 and 1.1.
 *
 * One request a connection, so that `nc` sees the end of an answer. A client that closes its half after the request
 * still gets the whole answer. Clients that send nothing, send too much or read nothing are limited in time, number and
 * size.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { EventEmitter } from 'eventemitter3';
import type { GraphSourceEvents } from '../graph/source.js';
import { withDeadline } from '../kernel/deadline.js';
import { DrainBarrier } from '../kernel/drain.js';
import type { Logger } from '../kernel/log.js';
import { NO_TAP } from '../mesh/taps.js';
import { ConnectionEnds, type ConnectionSource, connectionPage } from './connections.js';
import { Events, type EventsOptions } from './events.js';
import { type FaultLink, Faults } from './faults.js';
import { graphView, linksView, type ShownOf, type StatsOf, statusView } from './graph-view.js';
import type { Asker } from './leases.js';
import { EVENT_STREAM } from './listeners.js';
import type { Metrics } from './metrics.js';
import { type Observe, Observers } from './observers.js';
import { type ProbeLink, Probes } from './probes.js';
import { SourceHealth } from './source-health.js';
import type { LinkStatus, StatusStore } from './store.js';
import { type TapLink, Taps } from './taps.js';

/** `error`: why the last one came to nothing. */
export type UpgradeState = 'under way' | { readonly error: string } | null;

/** Which daemon this is, and how it is replaced. */
export interface Replaceable {
  readonly version: string;
  readonly incarnation: number;
  readonly state: UpgradeState;
  /** Null: it was begun. Otherwise why it was not, a sentence. */
  ask(): string | null;
}

export interface ControlServerOptions {
  readonly store: StatusStore;
  readonly stats: StatsOf;
  readonly shown?: ShownOf;
  readonly source: EventEmitter<GraphSourceEvents>;
  /** The revision that the graph is built from, as JSON; null: it is built elsewhere. */
  readonly revision?: () => unknown;
  readonly log: Logger;
  /** Absent: `/connections` has none. */
  readonly connections?: ConnectionSource;
  /** Absent: no link can be tried. */
  readonly probe?: ProbeLink;
  /** Absent: `/uses` reports nothing. */
  readonly observe?: Observe;
  /** Absent: nothing is shown of what passes. */
  readonly tap?: TapLink;
  /** Absent: no link is made faulty. */
  readonly fault?: FaultLink;
  readonly replaceable: Replaceable;
  /** See MetricsOptions. */
  readonly timed?: boolean;
  readonly events?: EventsOptions;
  /** How long an answer may wait for its client, roughly; milliseconds. */
  readonly stalledMs?: number;
}

/** The source of connections. */
export interface Accepting {
  /** `peer`: who connected; undefined: that can't be known. */
  onSocket: ((socket: Socket, peer: Asker | undefined) => void) | null;
  close(): void;
}

const MAX_CONNECTIONS = 64;
/** No request here has a body; one of this size is read and dropped, a longer one cut off by the answer. */
const MAX_BODY = 64 * 1024;
/** For the head of a request and for all of it, in milliseconds. */
const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  connectionsCheckingInterval: 5_000,
};
/** Node.js looks twice: a client is closed after one to two of these in which it read nothing. */
const STALLED_MS = 15_000;
const METHODS = 'GET, HEAD';
const UPGRADE = '/upgrade';
const PROBE = '/probe';
const TAP = '/tap';
const FAULT = '/fault';
/** An answer that is under way may take so long when the server leaves, in milliseconds. */
const LEAVE_MS = 5_000;

const NO_CONNECTIONS: ConnectionSource = {
  connections: async () => [],
  watch: () => () => undefined,
};

type Route = (response: ServerResponse) => void | Promise<void>;

/** Something that is done when it is asked for, with POST. */
interface Action {
  /** What the path is for: `... with POST`. */
  readonly what: string;
  take(response: ServerResponse, asker: Asker): void | Promise<void>;
}

export class ControlServer {
  readonly #log: Logger;
  readonly #server: http.Server;
  readonly #events: Events;
  readonly #observers: Observers;
  readonly #ends: ConnectionEnds;
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #actions: ReadonlyMap<string, Action>;
  readonly #probes: Probes;
  readonly #taps: Taps;
  readonly #faults: Faults;
  /** Who connected, where that is known. */
  readonly #askers = new WeakMap<Socket, Asker>();
  readonly #replaceable: Replaceable;
  readonly #sockets = new Set<Socket>();
  readonly #left = new DrainBarrier(() => this.#sockets.size === 0);
  #accepting: Accepting | null = null;
  #metrics: Promise<Metrics> | undefined;

  constructor(options: ControlServerOptions) {
    const { store, stats, source, log, events, timed = false } = options;
    this.#log = log;
    this.#replaceable = options.replaceable;
    const health = new SourceHealth(source);
    this.#events = new Events(store, events);
    this.#observers = new Observers(store, options.observe ?? (() => () => undefined));
    this.#probes = new Probes(store, options.probe ?? (async () => null));
    this.#ends = new ConnectionEnds(store, options.connections ?? NO_CONNECTIONS);
    this.#taps = new Taps({ store, log }, options.tap ?? (() => NO_TAP));
    this.#faults = new Faults({ store, log }, options.fault ?? (() => () => undefined));
    const shown: ShownOf = (id) => ({
      ...options.shown?.(id),
      ...this.#taps.leases.shown(id),
      ...this.#faults.leases.shown(id),
    });
    const sendLinks: Route = (response) =>
      sendJson(response, 200, linksView(store, stats, shown, askedOf(response)));
    this.#routes = new Map<string, Route>([
      ['/xconnect-graph', (response) => sendJson(response, 200, graphView(store, stats, shown))],
      ['/links', sendLinks],
      ['/connections', (response) => this.#list(response, options)],
      ['/connections/ends', (response) => this.#follow(response)],
      ['/revision', (response) => sendJson(response, 200, options.revision?.() ?? null)],
      ['/xconnect-status', (response) => sendJson(response, 200, statusView(store))],
      ['/version', (response) => sendJson(response, 200, this.#version())],
      ['/health', (response) => sendJson(response, 200, healthView(store, stats, health))],
      ['/events', (response) => this.#listen(response)],
      ['/uses', (response) => this.#observe(response)],
      ['/metrics', (response) => this.#sendMetrics(response, { store, stats, health, timed })],
    ]);
    this.#actions = new Map<string, Action>([
      [UPGRADE, { what: 'is asked for', take: (response) => this.#upgrade(response) }],
      [PROBE, { what: 'tries a link', take: (response) => this.#tryLink(response) }],
      [TAP, { what: 'is asked for', take: (...asked) => this.#lease(this.#taps, ...asked) }],
      [FAULT, { what: 'is asked for', take: (...asked) => this.#lease(this.#faults, ...asked) }],
    ]);
    this.#server = http.createServer({ ...LIMITS, requireHostHeader: false }, (request, response) =>
      this.#receive(request, response),
    );
    // Not in the documentation, but net.Server's `allowHalfOpen` for http: without it the end of a client's half
    // aborts the answer.
    Object.assign(this.#server, { httpAllowHalfOpen: true });
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.timeout = options.stalledMs ?? STALLED_MS;
    this.#server.on('clientError', refuse);
    this.#server.on('error', (error) => log.error({ err: error }, 'the control socket is broken'));
  }

  /** Takes it. */
  serve(accepting: Accepting): void {
    this.#accepting = accepting;
    accepting.onSocket = (socket, peer) => {
      if (this.#sockets.size >= MAX_CONNECTIONS) {
        socket.destroy();
        return;
      }
      this.#sockets.add(socket);
      if (peer) this.#askers.set(socket, peer);
      socket.once('close', () => {
        this.#sockets.delete(socket);
        this.#left.check();
      });
      this.#server.emit('connection', socket);
    };
    this.#server.emit('listening'); // with which the server begins to look after its time limits
  }

  /** Gives the listener up to whoever else has it: answers under way are given, and streams of events ended. */
  async leave(): Promise<void> {
    this.#endStreams();
    this.#accepting?.close();
    await withDeadline(this.#left.drained(), LEAVE_MS, undefined);
    await this.close();
  }

  /** Ends every connection, and resolves when the socket is closed. */
  async close(): Promise<void> {
    this.#endStreams();
    this.#accepting?.close();
    const closed = new Promise((resolve) => this.#server.close(resolve)); // an error where it listens nowhere itself
    this.#server.closeAllConnections();
    await closed;
  }

  #endStreams(): void {
    this.#events.close();
    this.#observers.listeners.close();
    this.#ends.listeners.close();
    this.#taps.leases.close();
    this.#faults.leases.close();
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    response.setHeader('Connection', 'close');
    let size = 0;
    let answered = false;
    const answer = () => {
      if (answered) return;
      answered = true;
      this.#answer(request, response);
    };
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY) answer();
    });
    request.on('end', answer);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { method, url = '' } = request;
    const path = url.replace(/\?.*$/s, '');
    const route = this.#routes.get(path);
    const action = this.#actions.get(path);
    if (action) this.#act(action, path, request, response);
    else if (!route) {
      const known = [...this.#routes.keys(), ...this.#actions.keys()].join(', ');
      sendJson(response, 404, { Error: `There is no such path here, only ${known}.` });
    } else if (method !== 'GET' && method !== 'HEAD') {
      response.setHeader('Allow', METHODS);
      sendJson(response, 405, { Error: `${path} can be read only: use GET.` });
    } else void this.#take(route, path, response);
  }

  #act(action: Action, path: string, request: IncomingMessage, response: ServerResponse) {
    const asker = this.#askers.get(request.socket);
    if (request.method !== 'POST') {
      response.setHeader('Allow', 'POST');
      sendJson(response, 405, { Error: `${path} ${action.what} with POST.` });
    } else if (asker && mayAct(asker)) {
      void this.#take(() => action.take(response, asker), path, response);
    } else {
      const error = `Only root, or the daemon's own user, may ask for ${path}.`;
      sendJson(response, 403, { Error: error });
    }
  }

  #version(): unknown {
    const { version, incarnation, state } = this.#replaceable;
    return { version, incarnation, upgrade: state };
  }

  #upgrade(response: ServerResponse): void {
    const obstacle = this.#replaceable.ask();
    if (obstacle === null) sendJson(response, 202, this.#version());
    else sendJson(response, 409, { Error: obstacle });
  }

  #lease(leases: Taps | Faults, response: ServerResponse, asker: Asker): void {
    const refused = leases.add(response, asker, askedOf(response));
    if (refused) sendJson(response, refused.status, { Error: refused.error });
  }

  async #tryLink(response: ServerResponse): Promise<void> {
    const { status, body } = await this.#probes.answer(askedOf(response));
    sendJson(response, status, body);
  }

  /** A bug in one answer ends that answer only. */
  async #take(route: Route, path: string, response: ServerResponse): Promise<void> {
    try {
      await route(response);
    } catch (thrown) {
      this.#log.error({ err: thrown, path }, 'a request failed');
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, { Error: 'This is a bug: report it with the log.' });
    }
  }

  #listen(response: ServerResponse): void {
    if (response.req.method === 'HEAD') {
      response.writeHead(200, EVENT_STREAM).end();
    } else if (this.#events.isFull) {
      refuseMore(response);
    } else this.#events.add(response);
  }

  async #list(response: ServerResponse, options: ControlServerOptions): Promise<void> {
    const { store, stats, connections = NO_CONNECTIONS } = options;
    const page = await connectionPage(store, stats, connections, askedOf(response));
    sendJson(response, 200, page);
  }

  #follow(response: ServerResponse): void {
    if (!this.#ends.listeners.isFull) this.#ends.add(response, askedOf(response));
    else refuseMore(response);
  }

  #observe(response: ServerResponse): void {
    const asked = askedOf(response);
    if (this.#observers.listeners.isFull) {
      refuseMore(response);
    } else if (!this.#observers.add(response, asked)) {
      sendJson(response, 404, { Error: 'There is no link of this "consumer" and "name".' });
    }
  }

  async #sendMetrics(
    response: ServerResponse,
    options: ConstructorParameters<typeof Metrics>[0],
  ): Promise<void> {
    this.#metrics ??= import('./metrics.js').then(({ Metrics }) => new Metrics(options));
    const metrics = await this.#metrics;
    response.setHeader('Vary', 'Accept');
    const { type, text } = await metrics.render(response.req.headers.accept);
    send(response, 200, type, text);
  }
}

/**
 * Whoever may only read must cause nothing: root's group may connect, and the page's processes do, as a user of their
 * own.
 */
function mayAct({ uid }: Asker): boolean {
  return uid === 0 || uid === process.geteuid?.();
}

function askedOf({ req }: ServerResponse): URLSearchParams {
  return new URLSearchParams(req.url?.replace(/^[^?]*/, ''));
}

function healthView(store: StatusStore, stats: StatsOf, { failing, last }: SourceHealth): unknown {
  const states = store.countByState();
  const { failed, unmet } = states;
  const isOptional = ({ state, link }: LinkStatus) => state === 'unmet' && link.optional;
  const all = [...store.all()];
  const optional = all.filter(isOptional).length;
  const full = all.filter(({ id }) => stats(id)?.full !== undefined).length;
  const isDegraded = failing || failed + unmet > optional;
  return {
    status: isDegraded ? 'degraded' : 'ok',
    links: store.size,
    states,
    optional_unmet: optional,
    full,
    source: { failing, last_failure: last },
  };
}

function refuseMore(response: ServerResponse): void {
  sendJson(response, 503, { Error: 'Too many are listening: close another one first.' });
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, 'application/json', `${JSON.stringify(value)}\n`);
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  const body = Buffer.from(text);
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
  });
  response.end(body);
}

/** Input that never became a request. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || socket.bytesWritten > 0) {
    socket.destroy();
    return;
  }
  const [status, sentence] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'The head of the request is too large.']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'The request did not arrive in time.']
        : ['400 Bad Request', 'This is not an HTTP request.'];
  const body = `${JSON.stringify({ Error: sentence })}\n`;
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
}
