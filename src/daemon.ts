/**
 * The composition root: wires the flow of chapter 5, top to bottom, and ends it.
 *
 * Source → mesh → plugins and host → broker and relay → status. The daemon has no state of its own to lose: when
 * its broker is gone it ends, and the runtime that started it starts it anew, from the same graph.
 */
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { Broker } from './broker/client.js';
import { openMessageChannel } from './broker/message-channel.js';
import { PvCtrlSource } from './graph/pv-ctrl-source.js';
import type { GraphSource } from './graph/source.js';
import { HostAttacher } from './host/attacher.js';
import { Containers } from './host/containers.js';
import { XConnectError } from './kernel/errors.js';
import { createLogger, type Logger } from './kernel/log.js';
import { Mesh } from './mesh/mesh.js';
import { observation } from './plugins/dbus/observation.js';
import { Registry } from './plugins/registry.js';
import { Relay } from './relay/relay.js';
import { statusView } from './status/graph-view.js';
import { ControlServer } from './status/server.js';
import { StatusStore } from './status/store.js';

export interface DaemonOptions {
  /** Absent: the graph comes from the runtime's socket. */
  readonly statePath?: string;
  readonly pidsPath?: string;
  readonly plugins: readonly string[];
  readonly logLevel: string;
  readonly drainMs: number;
  readonly patienceMs: number;
}

/** State changes that come together are posted to the runtime together. */
const POST_AFTER_MS = 50;
const MAX_CONNECTIONS = 4_096;
/** How long links may take to leave at the end, longer than their connections. */
const LEAVE_MS = 3_000;

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #log: Logger;
  #exit!: (code: number) => void;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#log = createLogger(options.logLevel);
  }

  /**
   * Runs until SIGTERM, SIGINT (exit code 0) or until the broker is gone (1). Takes both channels to the broker.
   * Rejects with an XConnectError where it can't start.
   */
  async run(controlFd: number, relayFd: number): Promise<number> {
    const ended = new Promise<number>((resolve) => {
      this.#exit = resolve;
    });
    process.on('SIGTERM', () => this.#exit(0));
    process.on('SIGINT', () => this.#exit(0));

    const broker = new Broker(openMessageChannel(controlFd));
    const relay = new Relay(relayFd);
    broker.onLost = relay.onBrokerLost = () => this.#brokerLost();
    const listener = await broker.hello();
    if (!listener.ok) {
      throw new XConnectError('broker-lost', `pvx-broker did not answer (${listener.errno}).`);
    }

    const source = await this.#source(broker);
    process.on('SIGHUP', () => source.refresh('SIGHUP'));

    const plugins = new Registry();
    for (const module of this.#options.plugins) await plugins.load(module);

    const containers = new Containers(broker);
    const attacher = new HostAttacher(
      { broker, relay, containers, plugins, log: this.#log },
      { patienceMs: this.#options.patienceMs, maxConnections: connectionsPerLink() },
    );
    const mesh = new Mesh(attacher, { drainMs: this.#options.drainMs });
    const store = new StatusStore(mesh);
    const server = new ControlServer({
      store,
      stats: (id) => mesh.stats(id),
      shown: (id) => mesh.shown(id),
      source,
      log: this.#log,
      observe: (link, onUse) => observation.observe(link, onUse),
    });
    if (listener.value >= 0) server.listen(listener.value);

    source.on('graph', (snapshot) => mesh.reconcile(snapshot));
    mesh.on('stale', () => source.refresh('a process of the graph has ended'));
    containers.onExit = ({ name }) => source.refresh(`${name} has ended`);
    this.#logChanges(source, mesh);
    if (source instanceof PvCtrlSource) this.#postChanges(source, store);
    source.start();

    const code = await ended;
    source.stop();
    await server.close();
    if (code === 0) await Promise.race([mesh.close(), this.#leavingTime()]);
    relay.stop();
    broker.close();
    return code;
  }

  async #source(broker: Broker): Promise<GraphSource> {
    const { statePath, pidsPath } = this.#options;
    if (statePath !== undefined) {
      // Not loaded under a runtime: reading manifests takes schemas and archives, a tenth of our memory.
      const { StateSource } = await import('./graph/state-source.js');
      return new StateSource({
        statePath,
        ...(pidsPath === undefined ? {} : { pidsPath }),
        log: this.#log,
      });
    }
    const connect = async () => {
      const made = await broker.runtime();
      if (made.ok) return new net.Socket({ fd: made.value, readable: true, writable: true });
      throw new XConnectError('runtime-away', `The runtime's socket: ${made.errno}.`);
    };
    return new PvCtrlSource({ connect, log: this.#log });
  }

  #logChanges(source: GraphSource, mesh: Mesh): void {
    const log = this.#log;
    source.on('failure', (error) => log.warn({ code: error.code }, error.message));
    source.on('recovered', () => log.info('the graph can be read again'));
    source.on('problems', (problems) => {
      for (const { severity, file, pointer, message } of problems) {
        log[severity === 'error' ? 'error' : 'info'](`${file}:${pointer}: ${message}`);
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

  /** What has not left by then hangs in its container, and ends with the broker. */
  #leavingTime(): Promise<void> {
    return new Promise((resolve) => {
      setTimeout(resolve, this.#options.drainMs + LEAVE_MS).unref();
    });
  }

  #brokerLost(): void {
    this.#log.fatal({ code: 'broker-lost' }, 'pvx-broker is gone: ending, to be started anew');
    this.#exit(1);
  }
}

/** No link may take all descriptors: a connection has two, and eight links should be able to be busy at once. */
function connectionsPerLink(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const open = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
  return Math.max(1, Math.min(MAX_CONNECTIONS, Math.floor(open / 16)));
}
