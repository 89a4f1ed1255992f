/**
 * pv-appengine: runs the containers of a revision, serves pv-ctrl and keeps the daemon running, until it is told to
 * end; then nothing of it is left. It makes no links: the daemon does, and posts their states to pv-ctrl.
 */
import { lstatSync, mkdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { BusPlaces } from '../bus/program.js';
import type { UidRange } from '../bus/uid-book.js';
import { buildGraph } from '../graph/builder.js';
import { unhosted } from '../graph/hosted-bus.js';
import { withDeadline } from '../kernel/deadline.js';
import type { Vocabulary } from '../manifest/entries.js';
import { EXPORT } from '../manifest/folder.js';
import { type Problem, placeText, show } from '../manifest/problem.js';
import { readRevisions } from '../manifest/reader.js';
import { isName, printable } from '../manifest/text.js';
import { type Lease, planAddresses } from './address-plan.js';
import { Api, type ApiParts } from './api.js';
import { BusSupervisor } from './bus-supervisor.js';
import {
  type ContainerSettings,
  type ContainerType,
  type Group,
  runtimeSettings,
} from './container-settings.js';
import { ContainerSupervisor } from './container-supervisor.js';
import { ControlSocket } from './control-socket.js';
import { DaemonSupervisor } from './daemon-supervisor.js';
import type { Engine, EngineParts, MakeEngine } from './engines/engine.js';
import { LogFile } from './log-file.js';
import { OnDemandContainers } from './on-demand-containers.js';
import { Pools } from './pools.js';

export interface AppEngineOptions {
  /** Revisions, merged in this order. */
  readonly revisions: readonly string[];
  /** Folder; logs are below it. */
  readonly storage: string;
  readonly pvCtrl: string;
  /** Of the system bus that is hosted here, where the revision has a use for it. */
  readonly bus: { readonly places: BusPlaces; readonly uids: UidRange };
  /** Program and arguments of the daemon; null: none is managed. */
  readonly daemon: readonly string[] | null;
  readonly version: string;
  /** What runs the containers, by their type. */
  readonly engines: Readonly<Record<ContainerType, MakeEngine>>;
  /** Root of a user namespace alone. */
  readonly rootless: boolean;
  /** What the manifests may say. Absent: what the built-in plugins take. */
  readonly vocabulary?: Vocabulary | undefined;
  /** Told what happens, one line each. */
  readonly say: (line: string) => void;
}

export class AppEngine {
  readonly #options: AppEngineOptions;
  readonly #ended: Promise<void>;
  #end!: () => void;
  #ending = false;

  constructor(options: AppEngineOptions) {
    this.#options = options;
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Ends `run`. */
  end(): void {
    this.#ending = true;
    this.#end();
  }

  /** Runs until `end`. Resolves with null, or with one sentence on why it could not start. */
  async run(): Promise<string | null> {
    const revision = await readRevisions(this.#options.revisions, this.#options.vocabulary);
    const settings = runtimeSettings(revision);
    const graph = buildGraph(revision, new Map(), unhosted(revision));
    const plan = planAddresses(revision.device.pools, settings.containers, {
      rootless: this.#options.rootless,
    });
    const problems = [...revision.problems, ...graph.problems];
    this.#sayProblems([...problems, ...settings.problems, ...plan.problems]);
    if (revision.failed) return 'The revision could not be read.';
    if (settings.containers.length === 0) return 'The revision has no containers to run.';

    const logs = join(this.#options.storage, 'logs', revisionName(this.#options.revisions));
    try {
      mkdirSync(logs, { recursive: true });
    } catch (error) {
      return `${logs} can't be made (${(error as Error).message}): give another --storage.`;
    }
    const { places, uids } = this.#options.bus;
    const pools = new Pools(this.#options.say);
    const engineOf = this.#enginesOn({ pools, hidden: places.folder });
    const containers = new Map(
      settings.containers.map((wanted) => {
        const { name } = wanted;
        const leases = plan.leases.get(name);
        const container = {
          settings: withAddress(wanted, leases),
          leases: leases ?? [],
          files: { app: this.#appFolder(name) },
        };
        const log = new LogFile(join(logs, name, 'console.log'));
        return [name, new ContainerSupervisor(container, engineOf(wanted.type), log)];
      }),
    );
    const bus = new BusSupervisor(places, uids, this.#options.say);
    await bus.host(revision);
    const fault = await this.#serve({
      revision,
      groups: settings.groups,
      containers,
      onDemand: new OnDemandContainers(revision, graph.dependencies, containers),
      bus,
      addresses: new Map([...plan.leases].map(([name, [first]]) => [name, first?.ip ?? ''])),
      daemon: this.#daemon(logs),
      version: this.#options.version,
    });
    await bus.close();
    await pools.close();
    return fault;
  }

  async #serve(parts: ApiParts): Promise<string | null> {
    const { containers, daemon, groups, onDemand } = parts;
    const api = new Api(parts);
    const socket = new ControlSocket(this.#options.pvCtrl, api.router);
    const fault = await socket.listen();
    if (fault) return fault;
    for (const [name, container] of containers) {
      container.on('news', (text) => this.#options.say(`${printable(name)} ${text}`));
      container.on('pid', () => daemon?.nudge());
    }
    daemon?.on('pid', () => api.forgetStatus());
    daemon?.on('news', (text) => this.#options.say(`pv-xconnect ${text}`));
    void daemon?.start();
    const atOnce = [...containers.values()].filter(
      ({ settings }) => !onDemand.containers.has(settings.name),
    );
    await this.#startGroups(groups, atOnce);
    await this.#ended;
    // Containers first: the daemon's links then have no connections left to wait for.
    await Promise.all([...containers.values()].map((container) => container.close()));
    await daemon?.close();
    await socket.close();
    return null;
  }

  async #startGroups(
    groups: readonly Group[],
    containers: readonly ContainerSupervisor[],
  ): Promise<void> {
    for (const { name, timeout } of groups) {
      const members = containers.filter(
        ({ settings }) => settings.group.name === name && settings.obstacle === null,
      );
      if (this.#ending) return;
      const started = Promise.all(members.map((container) => container.start()));
      const isOver = Promise.race([started, this.#ended]).then(() => true);
      const inTime = await withDeadline(isOver, timeout * 1000, false);
      if (!inTime) this.#options.say(`The group ${printable(name)} takes more than ${timeout} s.`);
    }
  }

  /** An engine is made when the first container of its type is met. */
  #enginesOn(parts: EngineParts): (type: ContainerType) => Engine {
    const made = new Map<ContainerType, Engine>();
    return (type) => {
      const engine = made.get(type) ?? this.#options.engines[type](parts);
      made.set(type, engine);
      return engine;
    };
  }

  #daemon(logs: string): DaemonSupervisor | null {
    const { daemon } = this.#options;
    if (!daemon) return null;
    const log = new LogFile(join(logs, 'pv-xconnect', 'pv-xconnect.log'));
    return new DaemonSupervisor(daemon, log);
  }

  /** The folder `root` of the container in the last revision that has one. No symlink: it could lead anywhere. */
  #appFolder(container: string): string | undefined {
    return this.#options.revisions
      .map((path) => join(resolve(path), container, 'root'))
      .findLast((path) => isFolder(path));
  }

  #sayProblems(problems: readonly Problem[]): void {
    for (const problem of problems) {
      this.#options.say(printable(`${placeText(problem)}: ${problem.message}`));
    }
  }
}

/** Without its address a container is not started: others than those meant could reach it, or nobody. */
function withAddress(
  settings: ContainerSettings,
  leases: readonly Lease[] | undefined,
): ContainerSettings {
  const [first] = settings.interfaces;
  if (first === undefined || leases) return settings;
  return {
    ...settings,
    obstacle: `has no address of the pool ${show(first.pool.value)}: correct that first`,
  };
}

/** The name of the folder of this revision's logs. */
function revisionName(paths: readonly string[]): string {
  const file = basename(resolve(paths[0] ?? '.'));
  const name = file.replace(EXPORT.test(file) ? EXPORT : /\.json$/, '');
  return isName(name) ? name : 'revision';
}

function isFolder(path: string): boolean {
  try {
    return lstatSync(path).isDirectory();
  } catch {
    return false;
  }
}
