/**
 * The composition root: wires the flow of ARCHITECTURE.md, top to bottom, and ends it.
 *
 * Source → mesh → plugins and host → broker and relay → status. The daemon has no state of its own to lose: when
 * its broker is gone it ends, and the runtime that started it starts it anew, from the same graph.
 */
import { closeSync, readFileSync } from 'node:fs';
import type net from 'node:net';
import { Broker } from './broker/client.js';
import type { Channels } from './broker/launch.js';
import { openMessageChannel } from './broker/message-channel.js';
import { RuntimeWatch } from './broker/relatives.js';
import { NO_ACTIVATOR, RuntimeActivator } from './bus/activator.js';
import type { Keeper } from './bus/keeper.js';
import type { UidRange } from './bus/uid-book.js';
import { PvCtrlSource } from './graph/pv-ctrl-source.js';
import { revisionToWire } from './graph/revision-wire.js';
import { RuntimeClient } from './graph/runtime-client.js';
import type { GraphSource } from './graph/source.js';
import type { StateSourceOptions } from './graph/state-source.js';
import { HostAttacher } from './host/attacher.js';
import { Containers } from './host/containers.js';
import { withDeadline } from './kernel/deadline.js';
import { XConnectError } from './kernel/errors.js';
import { createLogger, type Logger } from './kernel/log.js';
import type { Vocabulary } from './manifest/entries.js';
import { placeText } from './manifest/problem.js';
import { Mesh } from './mesh/mesh.js';
import { Observation } from './plugins/dbus/observation.js';
import type { Activator } from './plugins/on-demand.js';
import { builtInPlugins, Registry } from './plugins/registry.js';
import { poller } from './relay/poller.js';
import { Relay } from './relay/relay.js';
import { Acceptor, reserveLoop, socketOf } from './relay/socket.js';
import { statusView } from './status/graph-view.js';
import { ControlServer } from './status/server.js';
import { StatusStore } from './status/store.js';

export interface DaemonOptions {
  /** Absent: the graph comes from the runtime's socket. */
  readonly statePath?: string;
  readonly pidsPath?: string;
  /** The graph comes from a container engine: its socket is in place of the runtime's. */
  readonly docker?: { readonly ingressPath?: string };
  /** Absent: the daemon hosts no bus. */
  readonly hostedBus?: {
    readonly socket: string;
    readonly uids: UidRange;
    /** Why it can't be hosted here. */
    readonly obstacle?: string;
  };
  /** Sockets of hosted buses on the host, as the broker knows them. */
  readonly buses: readonly string[];
  readonly plugins: readonly string[];
  readonly logLevel: string;
  readonly drainMs: number;
  /** Drain time of all links when the daemon is told to end. */
  readonly stopDrainMs: number;
  readonly patienceMs: number;
  /** Bytes that the connections of one link may hold for receivers that do not read. */
  readonly linkMemory: number;
}

/** State changes that come together are posted to the runtime together. */
const POST_AFTER_MS = 50;
/** The runtime's answer to an activation: how long the container may take to start, in milliseconds, and its size. */
const ACTIVATION_MS = 20_000;
const MAX_ANSWER = 64 * 1024;
const MAX_CONNECTIONS = 4_096;
/** When the daemon ends: how long links may take to leave after the drain time. */
const LEAVE_MS = 3_000;

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #log: Logger;
  #runtime!: RuntimeWatch;
  #keeper: Keeper | null = null;
  #exit!: (code: number) => void;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#log = createLogger(options.logLevel);
  }

  /**
   * Runs until SIGTERM or SIGINT, and resolves with exit code 0; or until the runtime that launched it, the broker or
   * pvx-bus has ended, with 1. Takes the channels, and closes them. Rejects with an XConnectError if it can't start.
   */
  async run(channels: Channels): Promise<number> {
    const ended = new Promise<number>((resolve) => {
      this.#exit = resolve;
    });
    this.#runtime = new RuntimeWatch((pid) => this.#orphaned(pid));
    process.on('SIGTERM', () => this.#exit(0));
    process.on('SIGINT', () => this.#exit(0));

    reserveLoop();
    const broker = new Broker(openMessageChannel(channels.control));
    const relay = new Relay(channels.relay);
    poller.onBug = (err) => this.#log.error({ err }, 'a bug ended one connection');
    broker.onLost = relay.onBrokerLost = () => this.#lost('pvx-broker');
    try {
      return await this.#serve(broker, relay, channels.bus, ended);
    } finally {
      relay.stop();
      broker.close();
      if (this.#keeper) this.#keeper.close();
      else if (channels.bus >= 0) closeSync(channels.bus);
    }
  }

  async #serve(
    broker: Broker,
    relay: Relay,
    busFd: number,
    ended: Promise<number>,
  ): Promise<number> {
    const listener = await broker.hello();
    if (!listener.ok) {
      throw new XConnectError('broker-lost', `pvx-broker did not answer (${listener.errno}).`);
    }

    const observation = new Observation();
    const plugins = new Registry(builtInPlugins(observation));
    for (const module of this.#options.plugins) await plugins.load(module);

    const source = await this.#source(broker, busFd, plugins.vocabulary);
    process.on('SIGHUP', () => source.refresh('SIGHUP'));

    const containers = new Containers(broker);
    const attacher = new HostAttacher(
      {
        ...{ broker, relay, containers, plugins, log: this.#log },
        buses: this.#options.buses,
        activator: this.#activator(broker),
      },
      {
        patienceMs: this.#options.patienceMs,
        maxConnections: connectionsPerLink(),
        linkMemory: this.#options.linkMemory,
      },
    );
    const mesh = new Mesh(attacher, { drainMs: this.#options.drainMs });
    const store = new StatusStore(mesh);
    const server = new ControlServer({
      store,
      stats: (id) => mesh.stats(id),
      shown: (id) => mesh.shown(id),
      source,
      revision: () => source.revision && revisionToWire(source.revision),
      log: this.#log,
      observe: (link, onUse) => observation.observe(link, onUse),
    });
    const acceptor = listener.value < 0 ? null : new Acceptor(listener.value);
    if (acceptor) server.serve(acceptor);

    source.on('graph', (snapshot) => {
      containers.see(snapshot);
      mesh.reconcile(snapshot);
    });
    mesh.on('stale', () => source.doubt('a process of the graph has ended'));
    containers.onExit = ({ name }) => source.refresh(`${name} has ended`);
    this.#logChanges(source, mesh);
    if (source instanceof PvCtrlSource) this.#postChanges(source, store);
    source.start();

    const code = await ended;
    source.stop();
    await server.close();
    const { stopDrainMs } = this.#options;
    // A link that has not left by then hangs in its container, and is removed when the broker ends.
    if (code === 0) await withDeadline(mesh.close(stopDrainMs), stopDrainMs + LEAVE_MS, undefined);
    return code;
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
    if (fd < 0) void host.giveUp(hostedBus.obstacle ?? 'pvx-bus was not started');
    else {
      const log = this.#log.child({ part: 'bus' });
      this.#keeper = new Keeper(fd, log, () => this.#lost('pvx-bus'));
      void host.attach(this.#keeper);
    }
    return { hostBus: (revision, onLate) => host.host(revision, onLate) };
  }

  #logChanges(source: GraphSource, mesh: Mesh): void {
    const log = this.#log;
    source.on('failure', (error) => log.warn({ code: error.code }, error.message));
    source.on('recovered', () => log.info('the graph can be read again'));
    source.on('problems', (problems) => {
      for (const problem of problems) {
        const text = `${placeText(problem)}: ${problem.message}`;
        log[problem.severity === 'error' ? 'error' : 'info'](text);
      }
    });
    mesh.on('state', (link, _fields, state, error) => {
      log.info({ link, state, ...(error && { code: error.code }) }, error?.message ?? state);
    });
    mesh.on('gone', (link) => log.info({ link }, 'gone'));
  }

  #postChanges(source: PvCtrlSource, store: StatusStore): void {
    let pending = false;
    store.on('change', () => {
      if (pending) return;
      pending = true;
      setTimeout(() => {
        pending = false;
        source.postStatus(statusView(store));
      }, POST_AFTER_MS);
    });
  }

  async #runtimeSocket(broker: Broker): Promise<net.Socket> {
    const made = await broker.runtime();
    if (!made.ok) throw new XConnectError('runtime-away', `The runtime's socket: ${made.errno}.`);
    this.#runtime.look(made.value);
    const socket = socketOf(made.value, false);
    if (socket.ok) return socket.value;
    const message = `The runtime's socket can't be watched: ${socket.errno}.`;
    throw new XConnectError('runtime-away', message);
  }

  /** Nobody ends with an engine: its containers may live on. */
  async #engineSocket(broker: Broker): Promise<net.Socket> {
    const made = await broker.runtime();
    const socket = made.ok ? socketOf(made.value, false) : made;
    if (socket.ok) return socket.value;
    throw new XConnectError('engine-away', `The container engine's socket: ${socket.errno}.`);
  }

  #orphaned(pid: number): void {
    this.#log.warn(`the runtime that launched this daemon (pid ${pid}) is gone: ending, too`);
    this.#exit(1);
  }

  /** A program that was started while we were root can only be started again together with us. */
  #lost(program: string): void {
    this.#log.fatal({ code: 'broker-lost' }, `${program} is gone: ending, to be started anew`);
    this.#exit(1);
  }
}

/** No link may take all descriptors: a connection has two, and eight links should be able to be busy at once. */
function connectionsPerLink(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const open = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
  return Math.max(1, Math.min(MAX_CONNECTIONS, Math.floor(open / 16)));
}
