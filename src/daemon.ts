/**
 * The composition root: wires the flow of ARCHITECTURE.md, top to bottom, and ends it.
 *
 * Source → mesh → plugins and host → broker and relay → status. The daemon has no state of its own to lose: when it
 * ends, its supervisor starts a successor, from the same graph; when the broker is gone, all of pv-xconnect ends.
 */
import { closeSync, readFileSync } from 'node:fs';
import type net from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { Broker } from './broker/client.js';
import { openMessageChannel } from './broker/message-channel.js';
import { EXIT_SUCCESSOR, type Inheritance, type SupervisorWords } from './broker/supervisor.js';
import { NO_ACTIVATOR, RuntimeActivator } from './bus/activator.js';
import type { Keeper } from './bus/keeper.js';
import type { UidRange } from './bus/uid-book.js';
import type { Link } from './graph/link.js';
import { PvCtrlSource } from './graph/pv-ctrl-source.js';
import { revisionToWire } from './graph/revision-wire.js';
import { RuntimeClient } from './graph/runtime-client.js';
import type { GraphSource } from './graph/source.js';
import type { StateSourceOptions } from './graph/state-source.js';
import { Adoption } from './host/adoption.js';
import { HostAttacher } from './host/attacher.js';
import { Containers } from './host/containers.js';
import { withDeadline } from './kernel/deadline.js';
import { XConnectError } from './kernel/errors.js';
import { sayLastWords } from './kernel/last-words.js';
import { createLogger, type LogFormat, type Logger } from './kernel/log.js';
import { packageVersion } from './kernel/package-version.js';
import type { Vocabulary } from './manifest/entries.js';
import { CONNECTIONS_OF_LINK } from './manifest/limits.js';
import { placeText } from './manifest/problem.js';
import { Mesh } from './mesh/mesh.js';
import { Observation } from './plugins/dbus/observation.js';
import type { Activator } from './plugins/on-demand.js';
import { builtInPlugins, Registry } from './plugins/registry.js';
import { poller } from './relay/poller.js';
import { Relay, type StandingLink } from './relay/relay.js';
import { Acceptor, reserveLoop, socketOf } from './relay/socket.js';
import { ChangeLog } from './status/change-log.js';
import { statusView } from './status/graph-view.js';
import { ControlServer } from './status/server.js';
import { StatusStore } from './status/store.js';
import { Upgrade } from './upgrade.js';

export interface DaemonOptions {
  /** What the supervisor and the broker open for it, as its log says it: the source of the graph, and paths. */
  readonly places: {
    readonly source: 'state' | 'docker' | 'pv-ctrl';
    readonly path: string;
    readonly control: string;
  };
  /** Absent: the graph comes from the runtime's socket. */
  readonly statePath?: string;
  readonly pidsPath?: string;
  /** The graph comes from a container engine: its socket is in place of the runtime's. */
  readonly docker?: { readonly ingressPath?: string };
  /** Absent: the daemon hosts no bus. */
  readonly hostedBus?: {
    readonly socket: string;
    readonly uids: UidRange;
  };
  /** Sockets of hosted buses on the host, as the broker knows them. */
  readonly buses: readonly string[];
  readonly plugins: readonly string[];
  readonly logLevel: string;
  /** Absent: JSON. */
  readonly logFormat?: LogFormat;
  readonly drainMs: number;
  /** Drain time of all links when the daemon is told to end. */
  readonly stopDrainMs: number;
  readonly patienceMs: number;
  /** Bytes that the connections of one link may hold for receivers that do not read. */
  readonly linkMemory: number;
  /** How long connections and requests take is counted, for the metrics. */
  readonly timed: boolean;
}

/** How the daemon ends: its exit code, and why. */
interface End {
  readonly code: number;
  readonly reason: string;
}

/** State changes that come together are posted to the runtime together. */
const POST_AFTER_MS = 50;
const SETTLING =
  'This daemon is still taking over what an earlier one left: ask again in a moment.';
/** The runtime's answer to an activation: how long the container may take to start, in milliseconds, and its size. */
const ACTIVATION_MS = 20_000;
const MAX_ANSWER = 64 * 1024;
/** How long what an earlier daemon left may wait for a link that takes longer than others to be attached. */
const SETTLE_MS = 10_000;
/** After an upgrade: what is served here goes on for so long. */
const UPGRADE_DRAIN_MS = 60_000;
/** A successor serves the control socket once it knows the graph, or has waited so long for it. */
const LOOK_MS = 10_000;
/** When the daemon ends: how long links may take to leave after the drain time. */
const LEAVE_MS = 3_000;

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #log: Logger;
  readonly #version = packageVersion();
  #supervisor!: SupervisorWords;
  #keeper: Keeper | null = null;
  #exit!: (code: number, reason: string) => void;
  readonly #ended = new Promise<End>((resolve) => {
    this.#exit = (code, reason) => resolve({ code, reason });
  });
  /** A successor has the work: relay and broker of ours end when they have nothing left to do. */
  #isLeaving = false;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#log = createLogger(options.logLevel, options.logFormat);
  }

  /**
   * Runs until SIGTERM or SIGINT, or until a new version serves and what is under way here is done, and resolves with
   * exit code 0; or until the broker or pvx-bus has ended, with 1, or the relay, with EXIT_SUCCESSOR. Takes the
   * channels, and closes them. Rejects with an XConnectError if it can't start.
   */
  async run({ channels, incarnation, supervisor, mismatch }: Inheritance): Promise<number> {
    if (mismatch !== null) throw new XConnectError('broker-lost', mismatch);
    this.#supervisor = supervisor;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => this.#exit(0, 'it was told to end'));
    }
    const { places, pidsPath } = this.#options;
    this.#log.info(
      { version: this.#version, ...places, pids: pidsPath, incarnation },
      'pv-xconnect begins',
    );

    reserveLoop();
    const broker = new Broker(openMessageChannel(channels.broker), incarnation);
    const relay = new Relay(channels.relay, { incarnation, timed: this.#options.timed });
    poller.onBug = (err) => this.#log.error({ err }, 'a bug ended one connection');
    broker.onLost = relay.onBrokerLost = () => this.#lost('pvx-broker');
    relay.onLost = () => this.#relayLost();
    const endsOrdered = sayLastWords(this.#log);
    try {
      const { code, reason } = await this.#serve(broker, relay, { channels, incarnation });
      this.#log.info({ reason }, 'pv-xconnect has ended');
      return code;
    } finally {
      endsOrdered();
      relay.stop();
      broker.close();
      if (this.#keeper) this.#keeper.close();
      else if (channels.bus >= 0) closeSync(channels.bus);
    }
  }

  async #serve(
    broker: Broker,
    relay: Relay,
    { channels: { listener, bus }, incarnation }: Pick<Inheritance, 'channels' | 'incarnation'>,
  ): Promise<End> {
    const hello = await broker.hello();
    if (!hello.ok) {
      throw new XConnectError('broker-lost', `pvx-broker did not answer (${hello.errno}).`);
    }

    const observation = new Observation();
    const plugins = new Registry(builtInPlugins(observation));
    for (const module of this.#options.plugins) await plugins.load(module);

    const source = await this.#source(broker, bus, plugins.vocabulary);
    process.on('SIGHUP', () => {
      source.once('looked', () => this.#supervisor.reloaded());
      source.refresh('SIGHUP');
    });

    const containers = new Containers(broker);
    const { drainMs } = this.#options;
    const adoption = new Adoption({ broker, relay, drainMs, log: this.#log });
    const standing = await this.#standing(relay);
    adoption.load(standing);
    const attacher = new HostAttacher(
      {
        ...{ broker, relay, adoption, containers, plugins, log: this.#log },
        buses: this.#options.buses,
        activator: this.#activator(broker),
      },
      {
        patienceMs: this.#options.patienceMs,
        maxConnections: connectionsPerLink(),
        linkMemory: this.#options.linkMemory,
        timed: this.#options.timed,
      },
    );
    const mesh = new Mesh(attacher, { drainMs });
    const store = new StatusStore(mesh);
    const upgrade = new Upgrade({
      ...{ supervisor: this.#supervisor, mesh, broker, relay, log: this.#log },
      keeper: () => this.#keeper,
      onThaw: () => source.refresh('an upgrade was given up'),
    });
    if (standing.length > 0) upgrade.obstacle = SETTLING;
    const server = new ControlServer({
      store,
      stats: (id) => mesh.stats(id),
      shown: (id) => mesh.shown(id),
      connections: mesh,
      probe: (id) => mesh.probe(id),
      source,
      revision: () => source.revision && revisionToWire(source.revision),
      log: this.#log,
      timed: this.#options.timed,
      observe: (link, onUse) => observation.observe(link, onUse),
      tap: (link, sink) => mesh.tap(link, sink),
      fault: (link, fault) => mesh.fault(link, fault),
      replaceable: {
        ...{ version: this.#version, incarnation },
        get state() {
          return upgrade.state;
        },
        ask: () => upgrade.ask(),
      },
    });
    // Of a successor nobody hears before it serves: an earlier version may still be there, for it may be given up.
    const looked = new Promise<void>((resolve) => source.once('looked', resolve));
    const mayServe = incarnation > 1 ? withDeadline(looked, LOOK_MS, undefined) : null;
    const serve = () => server.serve(new Acceptor(listener));
    if (listener >= 0) void (mayServe ? mayServe.then(serve) : serve());

    source.on('graph', (snapshot) => {
      containers.see(snapshot);
      mesh.reconcile(snapshot);
    });
    source.once('graph', async ({ links }) => {
      await this.#settle(adoption, mesh, links);
      upgrade.obstacle = null;
    });
    mesh.on('stale', () => source.doubt('a process of the graph has ended'));
    containers.onExit = ({ name }) => source.refresh(`${name} has ended`);
    this.#logSource(source);
    const changes = new ChangeLog(mesh, this.#log);
    if (source instanceof PvCtrlSource) this.#postChanges(source, store);
    void looked.then(() => this.#supervisor.ready());
    this.#supervisor.startWatchdog();
    this.#supervisor.hear(upgrade);
    source.start();

    const { stopDrainMs } = this.#options;
    const end = await Promise.race([this.#ended, upgrade.committed]);
    source.stop();
    if (!end) {
      this.#isLeaving = true;
      mesh.removeAllListeners();
      const leaving = mesh.close(UPGRADE_DRAIN_MS);
      const left = withDeadline(leaving, UPGRADE_DRAIN_MS + LEAVE_MS, undefined);
      const told = this.#ended.then(() => setTimeout(stopDrainMs));
      this.#keeper?.close();
      await Promise.race([Promise.all([server.leave(), left]), told]);
      return { code: 0, reason: 'another version serves' };
    }
    await server.close();
    changes.leaving = 'pv-xconnect ends';
    // A link that has not left by then hangs in its container, and is removed when the broker ends.
    if (end.code === 0) {
      await withDeadline(mesh.close(stopDrainMs), stopDrainMs + LEAVE_MS, undefined);
    }
    return end;
  }

  /** What an earlier daemon left standing. */
  async #standing(relay: Relay): Promise<readonly StandingLink[]> {
    const standing = await relay.hello();
    if (standing.ok) return standing.value;
    throw new XConnectError('relay-lost', `pvx-relay did not answer (${standing.errno}).`);
  }

  /** Ends what the first graph has no use for, once its links have taken over what they can. */
  async #settle(adoption: Adoption, mesh: Mesh, links: readonly Link[]): Promise<void> {
    adoption.prune(links);
    await withDeadline(mesh.idle(), SETTLE_MS, undefined);
    await adoption.finish();
  }

  async #source(broker: Broker, busFd: number, vocabulary: Vocabulary): Promise<GraphSource> {
    const { statePath, pidsPath } = this.#options;
    if (statePath !== undefined) {
      // Not loaded under a runtime: reading manifests takes schemas and archives, a tenth of our memory.
      const { StateSource } = await import('./graph/state-source.js');
      return new StateSource({
        statePath,
        vocabulary,
        ...(pidsPath === undefined ? {} : { pidsPath }),
        ...(await this.#busHost(busFd)),
        log: this.#log,
      });
    }
    if (this.#options.docker) {
      const { DockerSource } = await import('./docker/source.js');
      return new DockerSource({
        connect: () => this.#engineSocket(broker),
        vocabulary,
        ...this.#options.docker,
        ...(await this.#busHost(busFd)),
        log: this.#log,
      });
    }
    return new PvCtrlSource({ connect: () => this.#runtimeSocket(broker), log: this.#log });
  }

  /** Starts owners of names on the hosted bus, by asking the runtime if there is one. */
  #activator(broker: Broker): Activator {
    if (this.#options.statePath !== undefined || this.#options.docker) return NO_ACTIVATOR;
    const client = new RuntimeClient({
      connect: () => this.#runtimeSocket(broker),
      timeoutMs: ACTIVATION_MS,
      maxBytes: MAX_ANSWER,
    });
    return new RuntimeActivator((request) => client.ask(request));
  }

  /** The bus that we host, for the source of the graph. */
  async #busHost(fd: number): Promise<Pick<StateSourceOptions, 'hostBus'>> {
    const { hostedBus } = this.#options;
    if (!hostedBus) return {};
    const [{ BusHost }, { Keeper }] = await Promise.all([
      import('./bus/bus-host.js'),
      import('./bus/keeper.js'),
    ]);
    const host = new BusHost({ ...hostedBus, log: this.#log });
    if (fd < 0) void host.giveUp('pvx-bus was not started');
    else {
      const log = this.#log.child({ part: 'bus' });
      this.#keeper = new Keeper(fd, log, () => this.#lost('pvx-bus'));
      void host.attach(this.#keeper);
    }
    return { hostBus: (revision, onLate) => host.host(revision, onLate) };
  }

  #logSource(source: GraphSource): void {
    const log = this.#log;
    source.on('failure', (error) => log.warn({ code: error.code }, error.message));
    source.on('recovered', () => log.info('the graph can be read again'));
    source.on('problems', (problems) => {
      for (const problem of problems) {
        const text = `${placeText(problem)}: ${problem.message}`;
        log[problem.severity === 'error' ? 'error' : 'info'](text);
      }
    });
  }

  #postChanges(source: PvCtrlSource, store: StatusStore): void {
    let pending = false;
    store.on('change', () => {
      if (pending) return;
      pending = true;
      void setTimeout(POST_AFTER_MS).then(() => {
        pending = false;
        source.postStatus(statusView(store));
      });
    });
  }

  async #runtimeSocket(broker: Broker): Promise<net.Socket> {
    const made = await broker.runtime();
    if (!made.ok) throw new XConnectError('runtime-away', `The runtime's socket: ${made.errno}.`);
    this.#supervisor.look(made.value);
    const socket = socketOf(made.value, false);
    if (socket.ok) return socket.value;
    const message = `The runtime's socket can't be watched: ${socket.errno}.`;
    throw new XConnectError('runtime-away', message);
  }

  /** Every link has ended with it; our successor makes them anew, by the relay's. */
  #relayLost(): void {
    if (this.#isLeaving) return;
    this.#log.error(
      { code: 'relay-lost' },
      'pvx-relay is gone: ending, to be started anew with it',
    );
    this.#exit(EXIT_SUCCESSOR, 'pvx-relay is gone');
  }

  /** Nobody ends with an engine: its containers may live on. */
  async #engineSocket(broker: Broker): Promise<net.Socket> {
    const made = await broker.runtime();
    const socket = made.ok ? socketOf(made.value, false) : made;
    if (socket.ok) return socket.value;
    throw new XConnectError('engine-away', `The container engine's socket: ${socket.errno}.`);
  }

  /** It is not started again without us. */
  #lost(program: string): void {
    if (this.#isLeaving) return;
    this.#log.fatal({ code: 'broker-lost' }, `${program} is gone: ending, to be started anew`);
    this.#exit(1, `${program} is gone`);
  }
}

/** No link may take all descriptors: a connection has two, and eight links should be able to be busy at once. */
function connectionsPerLink(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const open = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
  return Math.max(1, Math.min(CONNECTIONS_OF_LINK, Math.floor(open / 16)));
}
