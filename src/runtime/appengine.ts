/**
 * pv-appengine: runs the containers of a revision, serves pv-ctrl and keeps the daemon running, until it is told to
 * end; then nothing of it is left but its storage. It makes no links: the daemon does, and posts their states to
 * pv-ctrl.
 *
 * This file composes the parts, from the storage to the socket: which revision is to run, what a change of it means for
 * each part, what the commands of pv-ctrl do, and what is said at the terminal and in pantavisor.log.
 */
import { existsSync, lstatSync, mkdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { BusPlaces } from '../bus/program.js';
import type { UidRange } from '../bus/uid-book.js';
import { Looker } from '../graph/looker.js';
import { lookAtRevision } from '../graph/revision-look.js';
import type { Vocabulary } from '../manifest/entries.js';
import { MAX_MANIFEST } from '../manifest/limits.js';
import { takeObjects } from '../manifest/objects.js';
import { type Problem, problemText, show } from '../manifest/problem.js';
import { readRevisions } from '../manifest/reader.js';
import type { Revision } from '../manifest/revision.js';
import { printable } from '../manifest/text.js';
import { PACKAGE_ROOT } from '../relay/native.js';
import type { Lease } from './address-plan.js';
import { Api, type Commands } from './api.js';
import { BusSupervisor } from './bus-supervisor.js';
import { configEntries } from './config.js';
import type { ContainerType } from './container-settings.js';
import { ContainerSupervisor } from './container-supervisor.js';
import { ContainerViews, isManager, ViewEngine } from './container-view.js';
import { ControlSocket } from './control-socket.js';
import { DaemonSupervisor } from './daemon-supervisor.js';
import type { Engine, EngineParts, MakeEngine } from './engines/engine.js';
import { LinkReporter } from './link-reporter.js';
import { LogFile } from './log-file.js';
import { Pools } from './pools.js';
import { type PlannedContainer, planRevision, type RevisionPlan } from './revision-plan.js';
import { RevisionRunner } from './revision-runner.js';
import { HttpError } from './router.js';
import { Collector } from './storage/collector.js';
import { type Lock, lockFolder } from './storage/lock.js';
import { Storage } from './storage/storage.js';
import { refuseIfBusy } from './storage/storage-routes.js';
import { FIRST } from './storage/trails.js';

export interface AppEngineOptions {
  /** Revisions, merged in this order. None: the one of the storage goes on. */
  readonly revisions: readonly string[];
  /** Whether a change of one of them is taken up. */
  readonly watch: boolean;
  /** Folder; revisions, objects, metadata and logs are below it. */
  readonly storage: string;
  readonly pvCtrl: string;
  /** Of the daemon; for those who want to look. */
  readonly control: string;
  /** Of the system bus that is hosted here, where the revision has a use for it. */
  readonly bus: { readonly places: BusPlaces; readonly uids: UidRange };
  /** Program and arguments of the daemon; null: none is managed. */
  readonly daemon: readonly string[] | null;
  readonly version: string;
  /** What runs the containers, by their type. */
  readonly engines: Readonly<Record<ContainerType, MakeEngine>>;
  /** Root of a user namespace alone. */
  readonly rootless: boolean;
  /** Folders of the host that containers of the type `lxc` may mount; absolute paths. */
  readonly allowed: readonly string[];
  /** What the manifests may say. Absent: what the built-in plugins take. */
  readonly vocabulary?: Vocabulary | undefined;
  /** What is shown of the settings, by their aliases. */
  readonly config: Parameters<typeof configEntries>[0];
  /** Told what happens, one line each. */
  readonly say: (line: string) => void;
}

const MIB = 1024 * 1024;
/** Bytes of an object that is said to be stored, as that takes a while. */
const LARGE = 64 * MIB;

/** Takes away what nobody needs any more, and notes how much that was. */
type Collect = () => Promise<void>;

export class AppEngine {
  readonly #options: AppEngineOptions;
  readonly #ended: Promise<void>;
  #end!: () => void;
  #isEnding = false;
  #held: ReadonlyMap<string, readonly Lease[]> = new Map();
  #log: LogFile | null = null;

  constructor(options: AppEngineOptions) {
    this.#options = options;
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Ends `run`. */
  end(): void {
    this.#isEnding = true;
    this.#end();
  }

  /** Runs until `end`. Resolves with null, or with one sentence on why it could not start. */
  async run(): Promise<string | null> {
    const { storage } = this.#options;
    let lock: Lock | null = null;
    try {
      mkdirSync(storage, { recursive: true });
      lock = await lockFolder(storage);
      if (!lock) {
        return `${storage} is served by another runtime: stop that, or give another --storage.`;
      }
      const parts = new Storage(storage);
      await parts.sweep();
      return await this.#run(parts);
    } catch (error) {
      const { errno, message, path } = error as NodeJS.ErrnoException;
      if (errno === undefined) throw error; // it is a bug, and no word of the system
      if (path === undefined) return `pv-appengine can't run (${message}).`;
      const isOfStorage = !relative(storage, path).startsWith('..');
      return `${path} can't be used (${message})${isOfStorage ? ': see to it, or give another --storage' : ''}.`;
    } finally {
      lock?.release();
    }
  }

  async #run(storage: Storage): Promise<string | null> {
    const first = await this.#first(storage);
    if (typeof first === 'string') return first;
    this.#log = new LogFile(join(storage.logs(first.name), 'pantavisor', 'pantavisor.log'));
    this.#sayProblems(first.problems);
    const { places, uids } = this.#options.bus;
    const pools = new Pools(this.#say);
    const views = new ContainerViews({
      folder: storage.viewsFolder,
      logs: storage.logsFolder,
      userMeta: storage.userMeta.folder,
      deviceMeta: storage.deviceMeta.folder,
    });
    const hidden = [places.folder, this.#options.storage];
    const engineOf = this.#enginesOn({ pools, hidden });
    const bus = new BusSupervisor(places, uids, this.#say);
    const daemon = this.#daemon(storage, first.name);
    const runner: RevisionRunner = new RevisionRunner({
      trails: storage.trails,
      say: this.#say,
      note: (line) => this.#note(line),
      onRevision: async ({ containers, name, revision }) => {
        this.#held = new Map([...containers].map(([one, { leases }]) => [one, leases]));
        await this.#log?.moveTo(join(storage.logs(name), 'pantavisor', 'pantavisor.log'));
        await daemon?.log.moveTo(daemonLog(storage, name));
        await storage.describe(name, this.#options.version);
        await bus.host(revision);
      },
      makeContainer: (revision, planned) => {
        const { name } = planned.settings;
        const logs = join(storage.logs(revision), name);
        const lines = join(logs, 'messages.log');
        const view = new ViewEngine(
          engineOf(planned.settings.type),
          views.folderOf(name),
          () => api.router,
          lines,
        );
        const container = withView(planned, views, logs, revision);
        return new ContainerSupervisor(
          container,
          view,
          new LogFile(join(logs, 'lxc', 'console.log')),
        );
      },
    });
    const running = { current: () => runner.plan.name, busyWith: () => busyWith(runner) };
    const collector = new Collector({
      ...running,
      storage,
      startedIn: () => [...runner.containers.values()].map(({ revision }) => revision),
    });
    const collect = async () => this.#note(`${await collector.run()} bytes were collected.`);
    const links = new LinkReporter(() => api.graph(), this.#say);
    const api: Api = new Api({
      runner,
      bus,
      daemon,
      storage: {
        ...running,
        ...storage.parts,
        collector,
        log: (line) => this.#note(line),
      },
      commands: this.#commands(runner, storage, collect, () => daemon?.nudge()),
      config: configEntries(this.#options.config),
      version: this.#options.version,
      onPost: () => links.soon(),
    });
    const socket = new ControlSocket(this.#options.pvCtrl, api.router);
    let watching: Looker | null = null;
    try {
      await runner.begin(first);
      const fault = await socket.listen();
      if (fault) return fault;
      this.#introduce(first);
      runner.on('pids', () => daemon?.nudge());
      runner.on('pids', () => links.soon());
      daemon?.on('pid', () => api.forgetStatus());
      daemon?.on('news', (text) => this.#say(`pv-xconnect ${text}`));
      void daemon?.start();
      watching = this.#watch(runner, storage, collect);
      await Promise.race([this.#start(runner, first, storage), this.#ended]);
      await this.#ended;
      return null;
    } finally {
      watching?.stop();
      links.close();
      // Containers first: the daemon's links then have no connections left to wait for.
      await runner.close();
      await daemon?.close();
      await socket.close();
      await bus.close();
      await pools.close();
      views.close();
      await this.#log?.close();
    }
  }

  /**
   * What is to run: the revisions of the command line where they are others than the last time, or nothing else was
   * taken up since; otherwise the one of the storage. A sentence: there is none.
   */
  async #first(storage: Storage): Promise<RevisionPlan | string> {
    const { revisions } = this.#options;
    const { trails } = storage;
    const { boot } = trails;
    if (boot?.trying) {
      const what = `pv-appengine ended while it was tried; ${boot.done} runs again`;
      await trails.setProgress(boot.trying, 'ERROR', what);
      await trails.setBoot({ done: boot.done, trying: null });
      this.#say(`The revision ${boot.trying} has failed: ${what}.`);
    }
    if (revisions.length > 0) {
      const revision = await this.#read(storage);
      if (revision.failed) {
        this.#sayProblems(revision.problems);
        return 'The revision could not be read.';
      }
      const isNews = !isDeepStrictEqual(trails.state(FIRST), asStored(revision.state));
      if (isNews) await trails.put(FIRST, revision.state);
      if (isNews || !boot || boot.done === FIRST) return this.#planned(FIRST, revision, storage);
      this.#say(`${boot.done} goes on, which was taken up after ${revisions.join(', ')}.`);
    }
    if (!boot) return `There is no revision in ${this.#options.storage} yet: name one.`;
    return this.#plan(boot.done, storage);
  }

  /** A sentence: it can't be run. */
  async #plan(name: string, storage: Storage): Promise<RevisionPlan | string> {
    const state = storage.trails.state(name);
    if (!state) return `There is no revision ${show(name)}.`;
    // What the command line gave may have its objects elsewhere.
    const missing = name === FIRST ? undefined : await storage.objects.firstMissing(state);
    if (missing) {
      return `${show(missing.key)} of ${name} is the object ${missing.sha256}, which is not here.`;
    }
    const file = storage.trails.stateFile(name);
    return this.#planned(name, await readRevisions([file], this.#options.vocabulary), storage);
  }

  /** What the command line names, with its objects in the storage. */
  async #read({ objects }: Storage): Promise<Revision> {
    const { revisions, vocabulary } = this.#options;
    const revision = await readRevisions(revisions, vocabulary);
    if (revision.failed) return revision;
    const taken = await takeObjects(revisions, revision.state, {
      wants: (sha256) => objects.find(sha256) === undefined,
      put: (sha256, bytes, length) => {
        const done = objects.find(sha256) === undefined ? 'stored' : 'checked';
        if (length >= LARGE)
          this.#say(`An object of ${Math.round(length / MIB)} MiB is ${done} ...`);
        return objects.put(sha256, bytes, length);
      },
    });
    return {
      ...revision,
      state: { ...revision.state, ...taken.state },
      problems: [...revision.problems, ...taken.problems],
    };
  }

  #planned(name: string, revision: Revision, { objects }: Storage): RevisionPlan | string {
    if (revision.failed) return `The revision ${name} could not be read.`;
    const plan = planRevision(name, revision, {
      rootless: this.#options.rootless,
      held: this.#held,
      filesOf: (container) => ({ app: this.#appFolder(container) }),
      objects: {
        pathOf: (sha256) => objects.find(sha256),
        textOf: (sha256) => readShort(objects.find(sha256)),
      },
      allowed: this.#options.allowed,
    });
    if (plan.containers.size > 0) return plan;
    this.#sayProblems(plan.problems);
    return 'The revision has no containers to run.';
  }

  async #start(runner: RevisionRunner, plan: RevisionPlan, { trails }: Storage): Promise<void> {
    await trails.setProgress(plan.name, 'INPROGRESS', 'Containers are started');
    await runner.start();
    if (this.#isEnding) return;
    const message = plan.name === FIRST ? 'Factory revision' : 'Update finished';
    await trails.setProgress(plan.name, 'DONE', message);
  }

  #commands(
    runner: RevisionRunner,
    storage: Storage,
    collect: Collect,
    nudge: () => void,
  ): Commands {
    const refuseWhileBusy = () => refuseIfBusy(busyWith(runner));
    const begin = async (name: string) => {
      refuseWhileBusy();
      if (!storage.trails.has(name))
        throw new HttpError(404, `There is no revision ${show(name)}.`);
      const plan = await this.#plan(name, storage);
      if (typeof plan === 'string') throw new HttpError(422, plan);
      refuseWhileBusy();
      this.#sayProblems(plan.problems);
      void this.#change(runner, plan, collect).catch((error: Error) =>
        this.#say(`${name}: ${error.message}.`),
      );
    };
    const run = (name: string) => storage.changes.run(() => begin(name));
    return {
      LOCAL_RUN: run,
      LOCAL_RUN_COMMIT: run,
      RUN_GC: collect,
      XCONNECT_GRAPH: nudge,
      REBOOT_DEVICE: (message) => {
        refuseWhileBusy();
        void runner.reboot(message ? `as was asked: ${message}` : 'as was asked');
      },
      POWEROFF_DEVICE: (message) => {
        this.#say(printable(`The end was asked for${message ? `: ${message}` : ''}.`));
        // Whoever asked is answered first.
        setImmediate(() => this.end());
      },
    };
  }

  /** When it is done, what only the revisions before needed goes. */
  async #change(runner: RevisionRunner, plan: RevisionPlan, collect: Collect): Promise<void> {
    const fault = await runner.change(plan);
    if (fault !== null || this.#isEnding) return;
    try {
      await collect();
    } catch (error) {
      this.#note(`Nothing was collected: ${(error as Error).message}`);
    }
  }

  /** Takes up what changes in the revisions of the command line. */
  #watch(runner: RevisionRunner, storage: Storage, collect: Collect): Looker | null {
    const { revisions, watch } = this.#options;
    if (!watch) return null;
    let seen: string | null = null;
    let isBusy = false;
    const looker = new Looker(async () => {
      const looks = await Promise.all(revisions.map((path) => lookAtRevision(path)));
      const fingerprint = looks.map((look) => look.fingerprint).join('\n');
      const before = seen;
      if (before === fingerprint || isBusy || runner.trying !== undefined) return;
      seen = fingerprint;
      if (before === null) return;
      isBusy = true;
      // Not waited for: how long a look takes decides when the next one is.
      void this.#takeUp(runner, storage, collect)
        .catch((error: Error) => this.#say(`The change is not taken up: ${error.message}.`))
        .finally(() => {
          isBusy = false;
        });
    });
    looker.start();
    return looker;
  }

  async #takeUp(runner: RevisionRunner, storage: Storage, collect: Collect): Promise<void> {
    const { trails } = storage;
    const revision = await this.#read(storage);
    const state = asStored(revision.state);
    if (isDeepStrictEqual(trails.state(runner.plan.name), state)) return;
    // A file may be in the middle of being written: what has become wrong by the change is waited for.
    const known = new Set(runner.plan.problems.map(problemText));
    const wrong = revision.problems.filter(
      (problem) => problem.severity === 'error' && !known.has(problemText(problem)),
    );
    if (revision.failed || wrong.length > 0) {
      this.#sayProblems(wrong);
      this.#say('The change is not taken up before that is corrected.');
      return;
    }
    const plan = this.#planned(trails.freeName('watched'), revision, storage);
    if (typeof plan === 'string') {
      this.#say(`The change is not taken up: ${plan}`);
      return;
    }
    this.#sayProblems(plan.problems);
    let changing: Promise<void> | undefined;
    await storage.changes.run(async () => {
      await trails.put(plan.name, revision.state);
      changing = this.#change(runner, plan, collect);
    });
    await changing;
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

  #daemon(storage: Storage, revision: string): DaemonSupervisor | null {
    const { daemon } = this.#options;
    if (!daemon) return null;
    return new DaemonSupervisor(daemon, new LogFile(daemonLog(storage, revision)));
  }

  /** The folder `root` of the container in the last revision that has one. No symlink: it could lead anywhere. */
  #appFolder(container: string): string | undefined {
    return this.#options.revisions
      .map((path) => join(resolve(path), container, 'root'))
      .findLast((path) => isFolder(path));
  }

  #introduce({ containers, name }: RevisionPlan): void {
    const { control, daemon, pvCtrl, storage, version } = this.#options;
    const names = [...containers.keys()].map(printable).join(', ');
    this.#say(`pv-appengine ${version} runs the revision ${name}: ${names}.`);
    this.#say(
      `Logs: ${join(storage, 'logs', name)}/*/lxc/console.log, and pantavisor/, pv-xconnect/.`,
    );
    const program = (file: string) => join(PACKAGE_ROOT, 'bin', file); // neither has to be in PATH
    this.#say(`Look: ${program('pvcontrol')} -s ${pvCtrl} ls`);
    if (daemon) this.#say(`      ${program('pv-xconnect')} graph --control ${control}`);
  }

  #sayProblems(problems: readonly Problem[]): void {
    for (const problem of problems) this.#say(problemText(problem));
  }

  readonly #say = (line: string): void => {
    this.#options.say(line);
    this.#note(line);
  };

  /** In pantavisor.log alone. */
  #note(line: string): void {
    void this.#log?.write(`${new Date().toISOString()} ${line}\n`);
  }
}

function withView(
  planned: PlannedContainer,
  views: ContainerViews,
  logs: string,
  revision: string,
): PlannedContainer {
  const { name, roles } = planned.settings;
  const files = { ...planned.files, ...views.filesOf(name, isManager(roles), logs), revision };
  return { ...planned, files };
}

function daemonLog(storage: Storage, revision: string): string {
  return join(storage.logs(revision), 'pv-xconnect', 'pv-xconnect.log');
}

function busyWith({ trying }: RevisionRunner): string | undefined {
  return trying === undefined ? undefined : `The revision ${trying} is being taken up: try again.`;
}

/** Undefined: it is not there, or longer than a manifest may be. */
function readShort(path: string | undefined): string | undefined {
  if (path === undefined || lstatSync(path).size > MAX_MANIFEST) return undefined;
  return readFileSync(path, 'utf8');
}

/** The state as it is when it is read again. */
function asStored(state: Revision['state']): unknown {
  return JSON.parse(JSON.stringify(state));
}

function isFolder(path: string): boolean {
  // A part of the path may be a file: that of an export.
  return existsSync(path) && lstatSync(path).isDirectory();
}
