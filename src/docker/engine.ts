/**
 * A client of a Docker-compatible engine (Docker Engine API; Podman has the same): lists the containers that concern
 * us, and follows the engine's events.
 *
 * It is node:http over sockets that it is given. What the sockets are connected to, the broker decides, so a client
 * that connects by itself (dockerode) can't be used; undici can, but is no smaller for three GET requests.
 *
 * A listing has no pids, so each container with labels of ours is inspected. That is not repeated while its process is
 * known to live: the pid has a process with the same start time as before. Of one that does not run, it is not repeated
 * while the listing has it in the same words, which say how long ago it ended.
 *
 * An engine may hang, or answer with nonsense, for one container or one image alone, as Docker does where it waits for
 * one or has lost a part of it. That costs this container and no other. Where nothing is answered at all, and where the
 * engine is away, the look fails as a whole, so that the last graph stands.
 */
import http from 'node:http';
import type net from 'node:net';
import {
  away,
  broken,
  notReached,
  type Peer,
  RuntimeClient,
  senseless,
  slow,
} from '../graph/runtime-client.js';
import { bootTicks, startTicksOfPid, TICK_MS } from '../kernel/boot-clock.js';
import { XConnectError } from '../kernel/errors.js';
import { exitText } from '../kernel/exit-text.js';
import { isPid } from '../kernel/process-stat.js';
import { isObject, type JsonObject } from '../manifest/json.js';
import type { ContainerEnd } from '../manifest/link-values.js';
import { concernUs, type Labels } from './labels.js';
import type { EngineContainer } from './revision.js';

export interface Listing {
  readonly containers: readonly EngineContainer[];
  /** When the containers were asked for, and so before any of their pids; see GraphSnapshot. */
  readonly stamp: number;
}

const ENGINE: Peer = {
  name: 'The container engine',
  away: 'engine-away',
  slow: 'engine-slow',
  senseless: 'engine-answer',
};
const TIMEOUT_MS = 10_000;
/** For what the engine did not answer last time, so that it does not hold up all else at each look. */
const BRIEF_MS = 1_000;
const MAX_ANSWER = 64 * 1024 * 1024;
/** Requests at once. */
const CONCURRENCY = 8;
const NO_LABELS: Labels = new Map();
/** A minute or more, as both engines put it. */
const LONG_AGO = / (minute|hour|day|week|month|year)s? ago$/;
/** Podman's word for the image of a container with a root file system of its own. */
const NO_IMAGE = 'sha256:';

/** Both for Docker and for Podman, which has other words for some. Those of exec and of health checks are many. */
const EVENTS = [
  'create',
  'start',
  'die',
  'died',
  'destroy',
  'remove',
  'rename',
  'pause',
  'unpause',
];
const CONTAINERS_PATH = '/containers/json?all=1';
const EVENTS_PATH = `/events?filters=${encodeURIComponent(
  JSON.stringify({ type: ['container'], event: EVENTS }),
)}`;

export class Engine {
  readonly #connect: () => Promise<net.Socket>;
  readonly #timeoutMs: number;
  readonly #client: RuntimeClient;
  /** By the id of an image, which is a hash of what is in it. */
  #imageLabels = new Map<string, Labels>();
  /** By the id of a container: its process, as the engine told it. */
  #processes = new Map<string, KnownProcess>();
  /** By the id of a container that does not run: how it ended. */
  #ends = new Map<string, KnownEnd>();
  /** What was asked of one container or image and not answered in time, in this look and in the last one: paths. */
  #slow: { readonly now: Set<string>; readonly before: ReadonlySet<string> } = {
    now: new Set(),
    before: new Set(),
  };
  #stream: net.Socket | null = null;
  #stopped = false;

  /**
   * `connect`: a socket connected to the engine, this client's from then on. Rejects where there is none.
   * `timeoutMs`: for a whole answer, and for the head of the stream of events.
   */
  constructor(connect: () => Promise<net.Socket>, timeoutMs = TIMEOUT_MS) {
    this.#connect = connect;
    this.#timeoutMs = timeoutMs;
    const bounds = { timeoutMs, maxBytes: MAX_ANSWER };
    this.#client = new RuntimeClient({ connect, ...bounds, peer: ENGINE });
  }

  /** The containers with labels of ours, those that do not run among them. Never rejects. */
  async list(): Promise<Listing | XConnectError> {
    try {
      return await this.#list();
    } catch (thrown) {
      return XConnectError.from(thrown);
    }
  }

  /**
   * Resolves when there are no more events, with the reason; never rejects. `onOpen`: from now on every event is seen;
   * `onEvent`: there were some.
   */
  async follow(onOpen: () => void, onEvent: () => void): Promise<XConnectError> {
    try {
      const socket = await this.#connect();
      this.#stream = socket;
      if (this.#stopped) socket.destroy();
      return await follow(socket, this.#timeoutMs, onOpen, onEvent);
    } catch (thrown) {
      return notReached(ENGINE, thrown);
    }
  }

  /** Ends what is under way. */
  stop(): void {
    this.#stopped = true;
    this.#stream?.destroy();
    this.#client.stop();
  }

  async #list(): Promise<Listing> {
    this.#slow = { now: new Set(), before: this.#slow.now };
    const listed = await this.#get(CONTAINERS_PATH);
    if (!listed || !Array.isArray(listed.value)) throw nonsense('its containers');
    const now = bootTicks();
    const ours = listed.value.map(listedContainer).filter(({ labels }) => concernUs(labels));
    await this.#readImages(ours);
    const running = ours.filter(({ state }) => state !== 'other');
    const others = ours.filter(({ state }) => state === 'other');
    const [processes, ended] = await Promise.all([
      this.#each(running, ({ id }) => this.#process(id)),
      atMost(CONCURRENCY, others, (one) => this.#ended(one, now)),
    ]);
    const known = new Map(processes.map((one, i) => [running[i]?.id ?? '', one]));
    this.#processes = withoutFaults(known);
    const ends = new Map(ended.map((one, i) => [others[i]?.id ?? '', one]));
    this.#ends = new Map(
      others.flatMap(({ id, status }) => {
        const end = ends.get(id);
        return end ? [[id, { end, status, stamp: listed.stamp }]] : [];
      }),
    );
    const containers = ours.map(({ image, state, status: _, ...container }): EngineContainer => {
      const process = known.get(container.id) ?? NO_PROCESS;
      const isKnown = !(process instanceof XConnectError);
      const { pid, startedAt, end = ends.get(container.id) } = isKnown ? process : NO_PROCESS;
      return {
        ...container,
        imageLabels: image === '' ? NO_LABELS : (this.#imageLabels.get(image) ?? null),
        ...{ pid, startedAt, isPaused: state === 'paused' },
        ...(isKnown ? {} : { fault: process.message }),
        ...(end ? { end } : {}),
      };
    });
    return { containers, stamp: listed.stamp };
  }

  /** How one that does not run ended; undefined: never, or the engine does not say, which costs nothing else. */
  async #ended({ id, status }: ListedContainer, now: number): Promise<ContainerEnd | undefined> {
    const known = this.#ends.get(id);
    if (known && isStill(known, status, now)) return known.end;
    try {
      return (await this.#process(id, null)).end;
    } catch {
      return undefined;
    }
  }

  /** `known`: how it was, where its process may be the same. */
  async #process(id: string, known = this.#processes.get(id) ?? null): Promise<KnownProcess> {
    if (known && known.startTicks > 0 && startTicksOfPid(known.pid) === known.startTicks) {
      return known;
    }
    const inspected = await this.#get(`/containers/${id}/json`);
    if (!inspected) return NO_PROCESS;
    const { value, stamp } = inspected;
    const container = objectIn(value, 'a container');
    const state = objectIn(container.State, 'a state');
    const { Pid, StartedAt } = state;
    const end = endOf(container, state);
    if (!isPid(Pid)) throw nonsense('the pid of a container');
    const startTicks = Pid > 0 ? startTicksOfPid(Pid) : 0;
    return {
      pid: Pid,
      startedAt: Date.parse(String(StartedAt)) || 0,
      // One that started before the engine was asked, and lives after its answer, is the one that the answer means.
      startTicks: startTicks < stamp ? startTicks : 0,
      ...(end ? { end } : {}),
    };
  }

  /** Containers may have no image (a root file system of Podman), or one that was removed by force, or is damaged. */
  async #readImages(containers: readonly ListedContainer[]): Promise<void> {
    const known = this.#imageLabels;
    const ids = [...new Set(containers.map(({ image }) => image))].filter((id) => id !== '');
    const read = await this.#each(ids, async (id) => {
      const labels = known.get(id);
      if (labels) return labels;
      const answer = await this.#get(`/images/${encodeURIComponent(id)}/json`);
      if (!answer) return null;
      const { Config: config } = objectIn(answer.value, 'an image');
      return labelsIn(isObject(config) ? config.Labels : undefined);
    });
    const all = new Map(ids.map((id, i) => [id, read[i] ?? null]));
    this.#imageLabels = withoutFaults(all);
  }

  /**
   * What `ask` gives for each, in their order: a failure that is about one of them alone stands in its place. Rejects
   * with one that is not, and where there is nothing but failures.
   */
  async #each<T, R>(
    items: readonly T[],
    ask: (item: T) => Promise<R>,
  ): Promise<readonly (R | XConnectError)[]> {
    const results = await atMost(CONCURRENCY, items, async (item) => {
      try {
        return await ask(item);
      } catch (thrown) {
        const error = XConnectError.from(thrown);
        if (error.code === ENGINE.slow || error.code === ENGINE.senseless) return error;
        throw error;
      }
    });
    const [first] = results;
    if (first instanceof XConnectError && results.every((one) => one instanceof XConnectError)) {
      throw first;
    }
    return results;
  }

  /** JSON; null: the engine has no such thing. Throws an XConnectError. */
  async #get(path: string): Promise<{ readonly value: unknown; readonly stamp: number } | null> {
    const timeoutMs = this.#slow.before.has(path) ? BRIEF_MS : this.#timeoutMs;
    const answer = await this.#client.ask({ method: 'GET', path }, timeoutMs);
    if (answer instanceof XConnectError) {
      if (answer.code === ENGINE.slow && path !== CONTAINERS_PATH) this.#slow.now.add(path);
      throw answer;
    }
    const { status, body, stamp } = answer;
    if (status === 404) return null;
    if (status !== 200) throw senseless(ENGINE, `status ${status} for ${path}`);
    try {
      return { value: JSON.parse(body.toString()) as unknown, stamp };
    } catch {
      throw senseless(ENGINE, `${body.length} bytes that are not JSON for ${path}`);
    }
  }
}

function follow(
  socket: net.Socket,
  timeoutMs: number,
  onOpen: () => void,
  onEvent: () => void,
): Promise<XConnectError> {
  return new Promise((resolve) => {
    const request = http.request({
      path: EVENTS_PATH,
      headers: { Host: 'localhost' },
      createConnection: () => socket,
    });
    const timer = setTimeout(() => {
      resolve(slow(ENGINE, timeoutMs));
      socket.destroy();
    }, timeoutMs);
    request.on('error', (error) => resolve(broken(ENGINE, error)));
    request.on('upgrade', () => socket.destroy());
    request.on('response', (response) => {
      clearTimeout(timer);
      if (response.statusCode !== 200) {
        resolve(senseless(ENGINE, `status ${response.statusCode} for its events`));
        socket.destroy();
        return;
      }
      onOpen();
      response.on('data', onEvent);
      response.on('error', () => undefined); // "close" follows
      response.on('close', () => resolve(away(ENGINE, 'its stream of events has ended')));
    });
    request.on('close', () => {
      clearTimeout(timer);
      resolve(away(ENGINE, 'its stream of events has ended'));
    });
    request.end();
  });
}

interface ListedContainer extends Pick<EngineContainer, 'id' | 'name' | 'labels' | 'created'> {
  /** Id of its image; empty: it has none. */
  readonly image: string;
  readonly state: 'running' | 'paused' | 'other';
  /** For people: `Exited (0) 5 minutes ago`; empty: the engine has none. */
  readonly status: string;
}

interface KnownProcess extends Pick<EngineContainer, 'pid' | 'startedAt' | 'end'> {
  /** When the process began, in clock ticks since boot; 0: it is not certain. */
  readonly startTicks: number;
}

const NO_PROCESS: KnownProcess = { pid: 0, startedAt: 0, startTicks: 0 };

interface KnownEnd {
  readonly end: ContainerEnd;
  /** In the listing. */
  readonly status: string;
  /** Before it was listed so, in clock ticks since boot; 0: not known. */
  readonly stamp: number;
}

/**
 * Whether it is the same end as one listed by `now` with that status. One that came later, within a minute, would be told
 * in seconds: so minutes and more, in the words of before, are those of the same one.
 */
function isStill(known: KnownEnd, status: string, now: number): boolean {
  const isRecent = known.stamp > 0 && (now - known.stamp) * TICK_MS < 60_000;
  return isRecent && known.status === status && LONG_AGO.test(status);
}

/** How a container ended last, by its `State`; null: it never did. The engine itself started it anew so often. */
function endOf(
  { LogPath: log, RestartCount: restarts }: JsonObject,
  { ExitCode, FinishedAt, OOMKilled, Running }: JsonObject,
): ContainerEnd | null {
  const isEnded = Date.parse(String(FinishedAt)) > 0; // the year 1 is never
  if (!isEnded || typeof ExitCode !== 'number') return null;
  const before = typeof restarts === 'number' && restarts > 0 ? Math.trunc(restarts) : 0;
  return {
    how: OOMKilled === true ? `${exitText(ExitCode)}, out of memory` : exitText(ExitCode),
    times: Math.max(1, before + (Running === true ? 0 : 1)),
    ...(typeof log === 'string' && log !== '' ? { log } : {}),
  };
}

function listedContainer(value: unknown): ListedContainer {
  const { Id, Names, ImageID, Labels, State, Status, Created } = objectIn(value, 'a container');
  if (typeof Id !== 'string' || !/^[0-9a-f]{64}$/.test(Id)) throw nonsense('the id of a container');
  const names = Array.isArray(Names) ? Names.filter((one) => typeof one === 'string') : [];
  // Links of the old kind give a container more names, below that of another one.
  const name = names.find((one) => one.lastIndexOf('/') <= 0) ?? Id.slice(0, 12);
  return {
    id: Id,
    name: name.replace(/^\//, ''),
    labels: labelsIn(Labels),
    image: typeof ImageID === 'string' && ImageID !== NO_IMAGE ? ImageID : '',
    created: typeof Created === 'number' ? Created : Date.parse(String(Created)) / 1000 || 0,
    state: State === 'running' || State === 'paused' ? State : 'other',
    status: typeof Status === 'string' ? Status : '',
  };
}

function labelsIn(value: unknown): Labels {
  const entries = Object.entries(isObject(value) ? value : {});
  return new Map(entries.filter((one): one is [string, string] => typeof one[1] === 'string'));
}

function objectIn(value: unknown, what: string): JsonObject {
  if (isObject(value)) return value;
  throw nonsense(what);
}

/** Those that are known. */
function withoutFaults<T>(all: ReadonlyMap<string, T | XConnectError | null>): Map<string, T> {
  const known = new Map<string, T>();
  for (const [key, one] of all) {
    if (one !== null && !(one instanceof XConnectError)) known.set(key, one);
  }
  return known;
}

function nonsense(what: string): XConnectError {
  return senseless(ENGINE, `something else where ${what} was expected`);
}

/** The results in the order of `items`, of which at most `count` are worked on at a time. Rejects with the first failure. */
async function atMost<T, R>(
  count: number,
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const next = items.entries();
  const worker = async () => {
    for (const [index, item] of next) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(count, items.length) }, worker));
  return results;
}
