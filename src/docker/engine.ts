/**
 * A client of a Docker-compatible engine (Docker Engine API; Podman has the same): lists the containers that concern
 * us, and follows the engine's events.
 *
 * It is node:http over sockets that it is given. What the sockets are connected to, the broker decides, so a client
 * that connects by itself (dockerode) can't be used; undici can, but is no smaller for three GET requests.
 *
 * A listing has no pids, so each container with labels of ours is inspected. That is not repeated while its process is
 * known to live: the pid has a process with the same start time as before.
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
} from '../graph/runtime-client.js';
import { startTicksOfPid } from '../kernel/boot-clock.js';
import { XConnectError } from '../kernel/errors.js';
import { isObject, type JsonObject } from '../manifest/json.js';
import { concernUs, type Labels } from './labels.js';
import type { EngineContainer } from './revision.js';

export interface Listing {
  readonly containers: readonly EngineContainer[];
  /** When the last of the processes was asked for, see GraphSnapshot. */
  readonly stamp: number;
}

const ENGINE: Peer = {
  name: 'The container engine',
  away: 'engine-away',
  senseless: 'engine-answer',
};
const TIMEOUT_MS = 10_000;
const MAX_ANSWER = 64 * 1024 * 1024;
/** Requests at once. */
const CONCURRENCY = 8;

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
const EVENTS_PATH = `/events?filters=${encodeURIComponent(
  JSON.stringify({ type: ['container'], event: EVENTS }),
)}`;

export class Engine {
  readonly #connect: () => Promise<net.Socket>;
  readonly #client: RuntimeClient;
  /** By the id of an image, which is a hash of what is in it. */
  #imageLabels = new Map<string, Labels>();
  /** By the id of a container: its process, as the engine told it. */
  #processes = new Map<string, KnownProcess>();
  #stream: net.Socket | null = null;
  #stopped = false;

  /** `connect`: a socket connected to the engine, this client's from then on. Rejects where there is none. */
  constructor(connect: () => Promise<net.Socket>) {
    this.#connect = connect;
    const bounds = { timeoutMs: TIMEOUT_MS, maxBytes: MAX_ANSWER };
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
      return await follow(socket, onOpen, onEvent);
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
    const listed = await this.#get('/containers/json?all=1');
    if (!listed || !Array.isArray(listed.value)) throw nonsense('its containers');
    const ours = listed.value.map(listedContainer).filter(({ labels }) => concernUs(labels));
    await this.#readImages(ours);
    const running = ours.filter(({ state }) => state !== 'other');
    const processes = await atMost(CONCURRENCY, running, ({ id }) => this.#process(id));
    this.#processes = new Map(processes.map((one, i) => [running[i]?.id ?? '', one]));
    const containers = ours.map(({ image, state, ...container }): EngineContainer => {
      const imageLabels = this.#imageLabels.get(image) ?? new Map();
      const { pid, startedAt } = this.#processes.get(container.id) ?? NO_PROCESS;
      return { ...container, imageLabels, pid, startedAt, isPaused: state === 'paused' };
    });
    const stamp = Math.max(listed.stamp, ...processes.map(({ stamp }) => stamp));
    return { containers, stamp };
  }

  async #process(id: string): Promise<KnownProcess> {
    const known = this.#processes.get(id);
    if (known && known.startTicks > 0 && startTicksOfPid(known.pid) === known.startTicks) {
      return known;
    }
    const inspected = await this.#get(`/containers/${id}/json`);
    if (!inspected) return NO_PROCESS;
    const { value, stamp } = inspected;
    const { Pid, StartedAt } = objectIn(objectIn(value, 'a container').State, 'a state');
    if (typeof Pid !== 'number') throw nonsense('the pid of a container');
    const startTicks = Pid > 0 ? startTicksOfPid(Pid) : 0;
    return {
      pid: Pid,
      startedAt: Date.parse(String(StartedAt)) || 0,
      stamp,
      // One that started before the engine was asked, and lives after its answer, is the one that the answer means.
      startTicks: startTicks < stamp ? startTicks : 0,
    };
  }

  /** Of an image that was removed by force, nobody knows the labels: those of its containers are all their own. */
  async #readImages(containers: readonly ListedContainer[]): Promise<void> {
    const known = this.#imageLabels;
    const ids = [...new Set(containers.map(({ image }) => image))];
    const read = await atMost(CONCURRENCY, ids, async (id): Promise<[string, Labels]> => {
      const labels = known.get(id);
      if (labels) return [id, labels];
      const answer = await this.#get(`/images/${encodeURIComponent(id)}/json`);
      if (!answer) return [id, new Map()];
      const { Config: config } = objectIn(answer.value, 'an image');
      return [id, labelsIn(isObject(config) ? config.Labels : undefined)];
    });
    this.#imageLabels = new Map(read);
  }

  /** JSON; null: the engine has no such thing. Throws an XConnectError. */
  async #get(path: string): Promise<{ readonly value: unknown; readonly stamp: number } | null> {
    const answer = await this.#client.ask({ method: 'GET', path });
    if (answer instanceof XConnectError) throw answer;
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
  onOpen: () => void,
  onEvent: () => void,
): Promise<XConnectError> {
  return new Promise((resolve) => {
    const request = http.request({
      path: EVENTS_PATH,
      headers: { Host: 'localhost' },
      createConnection: () => socket,
    });
    request.on('error', (error) => resolve(broken(ENGINE, error)));
    request.on('upgrade', () => socket.destroy());
    request.on('response', (response) => {
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
    request.on('close', () => resolve(away(ENGINE, 'its stream of events has ended')));
    request.end();
  });
}

interface ListedContainer extends Pick<EngineContainer, 'id' | 'name' | 'labels' | 'created'> {
  /** Id of its image. */
  readonly image: string;
  readonly state: 'running' | 'paused' | 'other';
}

interface KnownProcess extends Pick<EngineContainer, 'pid' | 'startedAt'> {
  /** When it was asked for, see GraphSnapshot. */
  readonly stamp: number;
  /** When the process began, in clock ticks since boot; 0: it is not certain. */
  readonly startTicks: number;
}

const NO_PROCESS: KnownProcess = { pid: 0, startedAt: 0, stamp: 0, startTicks: 0 };

function listedContainer(value: unknown): ListedContainer {
  const { Id, Names, ImageID, Labels, State, Created } = objectIn(value, 'a container');
  if (typeof Id !== 'string' || !/^[0-9a-f]{64}$/.test(Id)) throw nonsense('the id of a container');
  const names = Array.isArray(Names) ? Names.filter((one) => typeof one === 'string') : [];
  // Links of the old kind give a container more names, below that of another one.
  const name = names.find((one) => one.lastIndexOf('/') <= 0) ?? Id.slice(0, 12);
  return {
    id: Id,
    name: name.replace(/^\//, ''),
    labels: labelsIn(Labels),
    image: typeof ImageID === 'string' ? ImageID : '',
    created: typeof Created === 'number' ? Created : Date.parse(String(Created)) / 1000 || 0,
    state: State === 'running' || State === 'paused' ? State : 'other',
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
