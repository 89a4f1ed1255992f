/** The source of a container engine, on one that the test plays: when it looks, and what it makes of bad answers. */
import { writeFile } from 'node:fs/promises';
import type net from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DockerSource, type DockerSourceOptions } from '../../../src/docker/source.js';
import type { GraphSnapshot } from '../../../src/graph/link.js';
import { bootTicks } from '../../../src/kernel/boot-clock.js';
import type { XConnectError } from '../../../src/kernel/errors.js';
import { createLogger } from '../../../src/kernel/log.js';
import type { Problem } from '../../../src/manifest/problem.js';
import type { Revision } from '../../../src/manifest/revision.js';
import { eventually } from '../../support/wait.js';
import { FakeRuntime, ok } from '../graph/fake-runtime.js';
import { scratchFolder } from '../manifest/scratch.js';

interface Listed {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  pid: number;
  isPaused?: boolean;
  /** What the engine says of it beside its pid. */
  state?: Readonly<Record<string, unknown>>;
  /** How it is listed, for people. */
  status?: string;
}

/** How the requests for one container begin, whichever it is. */
const ONE = /^\/containers\/[0-9a-f]{64}\//;
const REDIRECT = 'HTTP/1.1 301 Gone\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n';
const NOT_FOUND = 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n';
const STREAM = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

class FakeEngine extends FakeRuntime {
  containers: Listed[] = [];
  imageLabels: Record<string, string> = {};
  image = 'sha256:1';
  /** How long it takes to say what one container is. */
  inspectMs = 0;
  /** When it was asked for all of them last, in ticks since boot. */
  listedAt = 0;
  /** In place of the answer to requests that begin so, or match; null: none ever comes. */
  readonly said = new Map<string | RegExp, string | null>();
  #streams = new Set<net.Socket>();

  constructor() {
    super((socket, request) => this.#answer(socket, request.split(' ')[1] ?? ''));
  }

  event(): void {
    for (const stream of this.#streams) stream.write('2\r\n{}\r\n');
  }

  get followers(): number {
    return [...this.#streams].filter(({ destroyed }) => !destroyed).length;
  }

  loseEvents(): void {
    for (const stream of this.#streams) stream.destroy();
    this.#streams.clear();
  }

  asked(path: string): number {
    return this.requests.filter((request) => request.startsWith(`GET ${path}`)).length;
  }

  #answer(socket: net.Socket, path: string): void {
    const isMeant = (what: string | RegExp) =>
      typeof what === 'string' ? path.startsWith(what) : what.test(path);
    const [, said] = [...this.said].find(([what]) => isMeant(what)) ?? [];
    if (said === null) return;
    const [, kind, id] = path.split('/');
    const one = this.containers.find((container) => container.id === id);
    if (said !== undefined) socket.end(said);
    else if (path.startsWith('/events?')) {
      this.#streams.add(socket);
      socket.write(STREAM);
    } else if (path.startsWith('/containers/json')) socket.end(ok(JSON.stringify(this.#list())));
    else if (kind === 'images') socket.end(ok(json({ Config: { Labels: this.imageLabels } })));
    else if (one) {
      const container = { LogPath: '/log', State: { Pid: one.pid, ...one.state } };
      // A slow engine is what the test is about.
      setTimeout(() => socket.end(ok(json(container))), this.inspectMs);
    } else socket.end(NOT_FOUND);
  }

  #list() {
    this.listedAt = bootTicks();
    return this.containers.map(({ id, name, labels, pid, isPaused, status }) => {
      const State = pid <= 0 ? 'exited' : isPaused ? 'paused' : 'running';
      return {
        Id: id,
        Names: [`/${name}`],
        Labels: labels,
        State,
        Status: status,
        ImageID: this.image,
        Created: 1,
      };
    });
  }
}

/** Above every pid of Linux: no process is taken for a container's by its number. */
const NOBODY = 2 ** 22;

const json = (value: unknown) => JSON.stringify(value);
const idOf = (letter: string) => letter.repeat(64);

function two(): Listed[] {
  return [
    { id: idOf('a'), name: 'p', labels: { 'pv.provide.raw': 'unix:/run/x' }, pid: NOBODY + 20 },
    { id: idOf('b'), name: 'c', labels: { 'pv.require.raw': '' }, pid: NOBODY + 10 },
    { id: idOf('c'), name: 'other', labels: {}, pid: NOBODY + 30 },
  ];
}

async function setUp(
  options: Partial<DockerSourceOptions> = {},
  prepare?: (e: FakeEngine) => void,
) {
  const engine = await new FakeEngine().start();
  engine.containers = two();
  prepare?.(engine);
  const log = createLogger('silent');
  const source = new DockerSource({ connect: engine.connect, log, ...options });
  const graphs: GraphSnapshot[] = [];
  const failures: XConnectError[] = [];
  const problems: (readonly Problem[])[] = [];
  const seen = { engine, source, graphs, failures, problems, recovered: 0 };
  source.on('graph', (graph) => graphs.push(graph));
  source.on('failure', (failure) => failures.push(failure));
  source.on('problems', (some) => problems.push(some));
  source.on('recovered', () => seen.recovered++);
  onTestFinished(async () => {
    source.stop();
    await engine.stop();
  });
  source.start();
  return seen;
}

const pids = (graph: GraphSnapshot | undefined) =>
  graph?.links.map(({ consumerPid, providerPid }) =>
    [consumerPid, providerPid].map((pid) => (pid > NOBODY ? pid - NOBODY : pid)),
  );

describe('the source of a container engine', () => {
  it('yields the graph, with a stamp and the ids of the containers', async () => {
    const { graphs, engine } = await setUp();
    await eventually(() => expect(graphs).toHaveLength(1));
    expect(graphs[0]).toMatchObject({ links: [{ consumer: 'c', provider: 'p', name: 'raw' }] });
    expect(pids(graphs[0])).toEqual([[10, 20]]);
    expect(graphs[0]?.stamp).toBeGreaterThan(0);
    expect(graphs[0]?.engineIds).toEqual(
      new Map([10, 20].map((pid, i) => [NOBODY + pid, idOf('ba'[i] ?? '')])),
    );
    expect(engine.asked(`/containers/${idOf('c')}`)).toBe(0);
  });

  it('looks anew at each event, and a look that finds no change emits nothing', async () => {
    const { graphs, engine } = await setUp();
    await eventually(() => expect([graphs.length, engine.followers]).toEqual([1, 1]));
    const looked = engine.asked('/containers/json');
    engine.event();
    await eventually(() => expect(engine.asked('/containers/json')).toBeGreaterThan(looked));
    for (const pid of [21, 0, 22]) {
      (engine.containers[0] as Listed).pid = pid && NOBODY + pid;
      engine.event();
      await eventually(() => expect(pids(graphs.at(-1))).toEqual([[10, pid]]));
    }
    expect(graphs).toHaveLength(4);
    expect(engine.asked('/images/')).toBe(1);
  });

  it('looks again after an event, as an engine may list a change later than it tells of it', async () => {
    const { graphs, engine } = await setUp();
    await eventually(() => expect([graphs.length, engine.followers]).toEqual([1, 1]));
    const looked = engine.asked('/containers/json');
    engine.event();
    await eventually(() => expect(engine.asked('/containers/json')).toBeGreaterThan(looked));
    (engine.containers[0] as Listed).isPaused = true;
    await eventually(() => expect(pids(graphs.at(-1))).toEqual([[10, 0]]));
  });

  it('inspects a container once, as long as its process lives', async () => {
    const { graphs, engine } = await setUp({}, ({ containers }) => {
      (containers[1] as Listed).pid = process.pid;
    });
    const consumer = engine.containers[1] as Listed;
    await eventually(() => expect([graphs.length, engine.followers]).toEqual([1, 1]));
    const asked = () => [idOf('b'), idOf('a')].map((id) => engine.asked(`/containers/${id}`));
    const [once = 0, often = 0] = asked();
    consumer.isPaused = true;
    engine.event();
    await eventually(() => expect(asked()[1]).toBeGreaterThan(often));
    expect(asked()[0]).toBe(once);
    consumer.pid = 0;
    engine.event();
    await eventually(() => expect(graphs.at(-1)?.links[0]?.consumerPid).toBe(0));
  });

  it.each([
    [{ ExitCode: 3 }, { how: 'exit code 3', times: 1, log: '/log' }],
    [{ ExitCode: 137 }, { how: 'exit code 137 (SIGKILL)', times: 1, log: '/log' }],
    [
      { ExitCode: 137, OOMKilled: true },
      { how: 'exit code 137 (SIGKILL), out of memory', times: 1, log: '/log' },
    ],
    [{ ExitCode: 0, FinishedAt: '0001-01-01T00:00:00Z' }, undefined],
  ])('says how a container ended: %j', async (state, end) => {
    const { graphs } = await setUp({}, ({ containers }) => {
      const consumer = containers[1] as Listed;
      consumer.pid = 0;
      consumer.state = { FinishedAt: '2026-11-29T10:00:00Z', ...state };
    });
    await eventually(() => expect(graphs.at(-1)?.links[0]).toBeDefined());
    expect(graphs.at(-1)?.links[0]?.consumerEnd).toEqual(end);
  });

  it.each([
    ['Exited (3) 5 minutes ago', 'Exited (3) 6 minutes ago', 0],
    ['Exited (3) About an hour ago', 'Exited (3) 2 hours ago', 0],
    ['Exited (3) 5 seconds ago', 'Exited (3) 9 seconds ago', 1],
    ['Exited (3) Less than a second ago', 'Exited (3) 1 second ago', 1],
    ['exited', 'Exited (3) 2 days ago', 1],
    [undefined, 'Exited (3) 2 days ago', 1],
  ])(
    'inspects one that is listed as %s once, until that is %s (0), or each time (1)',
    async (status, later, each) => {
      const { graphs, engine } = await setUp({}, ({ containers }) => {
        const state = { FinishedAt: '2026-11-29T10:00:00Z', ExitCode: 3 };
        Object.assign(containers[1] as Listed, { pid: 0, state, status });
      });
      const consumer = engine.containers[1] as Listed;
      await eventually(() => expect([graphs.length, engine.followers]).toEqual([1, 1]));
      const asked = () => engine.asked(`/containers/${idOf('b')}`);
      const looks = () => engine.asked(`/containers/${idOf('a')}`);
      const look = async () => {
        const before = looks();
        engine.event();
        await eventually(() => expect(looks()).toBeGreaterThan(before + 1));
      };
      const [once, before] = [asked(), looks()];
      await look();
      if (each === 0) expect(asked()).toBe(once);
      else expect(asked() - once).toBeGreaterThanOrEqual(looks() - before - 1);
      expect(graphs.at(-1)?.links[0]?.consumerEnd).toMatchObject({ how: 'exit code 3' });
      consumer.state = { FinishedAt: '2026-11-29T10:30:00Z', ExitCode: 4 };
      consumer.status = later;
      engine.event();
      await eventually(() =>
        expect(graphs.at(-1)?.links[0]?.consumerEnd).toMatchObject({ how: 'exit code 4' }),
      );
    },
  );

  it('emits the same links again, with a newer stamp, where somebody doubts them', async () => {
    const { graphs, source } = await setUp();
    await eventually(() => expect(graphs).toHaveLength(1));
    await eventually(() => {
      source.doubt('the test says so');
      expect(graphs.length).toBeGreaterThan(1);
    });
    expect(graphs[1]?.stamp).toBeGreaterThan(graphs[0]?.stamp ?? 0);
  });

  it('lists everything anew when the stream of events was lost', async () => {
    const { graphs, engine } = await setUp();
    await eventually(() => expect([graphs.length, engine.followers]).toEqual([1, 1]));
    engine.containers.splice(1, 1);
    engine.loseEvents();
    await eventually(() => expect(graphs.at(-1)?.links).toEqual([]));
    await eventually(() => expect(engine.followers).toBe(1));
  });

  it('keeps the last graph while the engine is away, and says so once', async () => {
    const seen = await setUp();
    const { graphs, engine, failures } = seen;
    await eventually(() => expect([graphs.length, engine.followers]).toEqual([1, 1]));
    await engine.stop();
    await eventually(() => expect(failures.map(({ code }) => code)).toEqual(['engine-away']));
    engine.containers[0] = { ...(engine.containers[0] as Listed), pid: NOBODY + 25 };
    await engine.start();
    await eventually(() => expect(pids(graphs.at(-1))).toEqual([[10, 25]]));
    expect([graphs.length, failures.length, seen.recovered]).toEqual([2, 1, 1]);
  });

  it.each([
    ['/containers/json', ok('{}'), 'something else where its containers was expected'],
    ['/containers/json', ok('[{"Id":"../x"}]'), 'something else where the id of a container'],
    ['/containers/json', ok('[7]'), 'something else where a container was expected'],
    ['/containers/json', ok('['), '1 bytes that are not JSON for /containers/json?all=1'],
    ['/containers/json', NOT_FOUND, 'something else where its containers was expected'],
    ['/containers/json', REDIRECT, 'status 301 for /containers/json?all=1'],
    [ONE, ok('{}'), 'something else where a state was expected'],
    [ONE, ok('{"State":{}}'), 'something else where the pid of a container'],
    [ONE, ok('{"State":{"Pid":-1}}'), 'something else where the pid of a container'],
    [ONE, ok('{"State":{"Pid":1e12}}'), 'something else where the pid of a container'],
    [
      '/images/',
      'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n',
      'status 500 for /images/sha256%3A1',
    ],
    ['/', 'SSH-2.0-x\r\n', 'bytes that are not HTTP'],
  ])(
    'answers of %s that make no sense are a failure, and change nothing',
    async (what, bytes, why) => {
      const { graphs, engine, failures } = await setUp({}, ({ said }) => said.set(what, bytes));
      await eventually(() => expect(failures).toHaveLength(1));
      expect(failures[0]?.code).toBe('engine-answer');
      expect(failures[0]?.message).toContain(`The container engine sent ${why}`);
      expect(graphs).toEqual([]);
      engine.said.clear();
      engine.loseEvents();
      await eventually(() => expect(graphs).toHaveLength(1));
    },
  );

  it('leaves out a container that went away while it looked', async () => {
    const { graphs, engine } = await setUp({}, ({ said }) => {
      said.set(`/containers/${idOf('a')}/`, NOT_FOUND);
    });
    await eventually(() => expect(pids(graphs.at(-1))).toEqual([[10, 0]]));
    expect(engine.followers).toBe(1);
  });

  it("takes labels for nobody's where the image is gone, until it knows them", async () => {
    const { graphs, engine, problems } = await setUp({}, ({ said }) => {
      said.set('/images/', NOT_FOUND);
    });
    await eventually(() => expect([problems.length, engine.followers]).toEqual([1, 1]));
    expect(problems[0]?.map(({ code }) => code)).toContain('image-unknown');
    expect(graphs.at(-1)?.links.every(({ error }) => error)).toBe(true);
    engine.said.clear();
    engine.event();
    await eventually(() => expect(pids(graphs.at(-1))).toEqual([[10, 20]]));
    engine.said.set('/images/', NOT_FOUND);
    const looked = engine.asked('/containers/json');
    engine.event();
    await eventually(() => expect(engine.asked('/containers/json')).toBeGreaterThan(looked));
    expect(pids(graphs.at(-1))).toEqual([[10, 20]]);
  });

  it.each(['', 'sha256:'])('asks for no image of a container without one: "%s"', async (image) => {
    const { graphs, engine } = await setUp({}, (engine) => {
      engine.image = image;
    });
    await eventually(() => expect(pids(graphs.at(-1))).toEqual([[10, 20]]));
    expect(engine.asked('/images/')).toBe(0);
  });

  it.each([
    ['an error', 'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n', 'status 500'],
    ['nonsense', ok('7'), 'something else where a container'],
    ['nothing for long', null, 'it did not answer within 0.3 s'],
  ])('loses no other container where the engine has %s for one', async (_, answer, why) => {
    const { graphs, problems, engine } = await setUp({ timeoutMs: 300 }, ({ said, containers }) => {
      said.set(`/containers/${idOf('d')}/`, answer);
      containers.push({ ...(two()[0] as Listed), id: idOf('d'), name: 'd' });
      (containers[3] as { labels: object }).labels = { 'pv.provide.log': 'unix:/run/log' };
    });
    await eventually(() => expect(pids(graphs.at(-1))).toEqual([[10, 20]]));
    expect(problems.at(-1)).toMatchObject([{ code: 'container-unknown', file: 'container d' }]);
    expect(problems.at(-1)?.[0]?.found).toContain(why);
    engine.said.clear();
    engine.event();
    await eventually(() => expect(problems.at(-1)).toEqual([]));
  });

  it('asks again for events that do not begin, and looks meanwhile', async () => {
    const { graphs, engine } = await setUp({ timeoutMs: 50 }, ({ said }) =>
      said.set('/events', null),
    );
    await eventually(() => expect(engine.asked('/events')).toBeGreaterThan(2));
    await eventually(() => expect(pids(graphs.at(-1))).toEqual([[10, 20]]));
    engine.said.clear();
    await eventually(() => expect(engine.followers).toBe(1));
  });

  it("has the stamp of its question for all containers, as a pid may be somebody else's after that", async () => {
    const { graphs, engine } = await setUp({}, (engine) => {
      engine.inspectMs = 100;
    });
    await eventually(() => expect(graphs).toHaveLength(1));
    expect(graphs[0]?.stamp).toBeLessThanOrEqual(engine.listedAt);
    expect(graphs[0]?.stamp).toBeGreaterThan(0);
  });

  it('takes no label of an image for one of the container', async () => {
    const { graphs, problems } = await setUp({}, (engine) => {
      engine.imageLabels = { 'pv.require.raw': '' };
    });
    await eventually(() => expect(graphs).toHaveLength(1));
    expect(graphs[0]?.links).toEqual([]);
    expect(problems[0]).toMatchObject([{ code: 'label-inherited' }]);
  });

  it('reads the ingress of a file, whenever that changes, and keeps it while the file is no JSON', async () => {
    const ingressPath = `${await scratchFolder()}/ingress.json`;
    const rule = (external: string) =>
      writeFile(ingressPath, json({ ingress: [{ service: 'api', type: 'http', external }] }));
    await rule('127.0.0.1:80');
    const { graphs, problems, failures } = await setUp({ ingressPath }, ({ containers }) => {
      containers.push({
        id: idOf('d'),
        name: 'api',
        labels: { 'pv.provide.api': 'http:8080' },
        pid: 1,
      });
    });
    const shown = () =>
      graphs.at(-1)?.links.find(({ consumer }) => consumer === 'EXTERNAL')?.target;
    await eventually(() => expect(shown()).toBe('127.0.0.1:80'));
    await rule('127.0.0.1:81');
    await eventually(() => expect(shown()).toBe('127.0.0.1:81'));
    await writeFile(ingressPath, '{');
    await eventually(() =>
      expect(failures[0]?.message).toContain(`file ${ingressPath} can't be used`),
    );
    await rule('nowhere');
    await eventually(() => expect(problems.at(-1)).toMatchObject([{ file: ingressPath }]));
    expect(graphs.filter(({ links }) => links.length === 2)).toHaveLength(2);
  });

  it('asks for the hosted bus when what containers declare has changed', async () => {
    const asked: Revision[] = [];
    const hostBus = (revision: Revision) => {
      asked.push(revision);
      return Promise.resolve({ socket: '/run/bus' });
    };
    const { graphs, engine } = await setUp({ hostBus }, ({ containers }) => {
      containers.push({
        id: idOf('d'),
        name: 'd',
        labels: { 'pv.required': 'system-bus' },
        pid: NOBODY + 5,
      });
    });
    const bus = () => graphs.at(-1)?.links.find(({ name }) => name === 'system-bus');
    await eventually(() =>
      expect(bus()).toMatchObject({ socket: '/run/bus', consumerPid: NOBODY + 5 }),
    );
    (engine.containers[3] as Listed).pid = NOBODY + 6;
    engine.event();
    await eventually(() => expect(bus()).toMatchObject({ consumerPid: NOBODY + 6 }));
    expect(asked).toHaveLength(1);
  });
});
