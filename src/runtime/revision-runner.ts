/**
 * Runs one revision, and takes up another one in its place.
 *
 *                 change                 goals reached, all stable
 *     DONE ───────────────▶ TESTING ─────────────────────────────▶ DONE (the new one)
 *      ▲                       │
 *      │ the one before is     │ a group was late, a container failed for good,
 *      │ taken up again        │ or did not become stable
 *      └──────── ERROR ◀───────┘
 *
 * In a change, containers that are the same in both revisions are left alone; the others are stopped and started, group
 * by group. The journal (Trails.boot) names both revisions for as long as the new one has to prove itself, so after a
 * kill in the middle of it the next start runs the one before, and the new one's progress says what happened.
 */
import { EventEmitter } from 'eventemitter3';
import { SerialQueue } from '../kernel/serial-queue.js';
import { printable } from '../manifest/text.js';
import type { ContainerSupervisor } from './container-supervisor.js';
import { groupStatus, type Member, startGroups, waitsFor } from './lifecycle/group-sequence.js';
import type { ContainerStatus } from './lifecycle/lifecycle.js';
import { OnDemandContainers } from './on-demand-containers.js';
import type { PlannedContainer, RevisionPlan } from './revision-plan.js';
import type { Trails } from './storage/trails.js';

export interface RunnerParts {
  readonly trails: Pick<Trails, 'setBoot' | 'setProgress'>;
  /** Of a container that is to be started; it is closed when another revision has no use for it. */
  readonly makeContainer: (revision: string, container: PlannedContainer) => ContainerSupervisor;
  /** Told whenever another revision runs, before any container of it is started. Never rejects. */
  readonly onRevision: (plan: RevisionPlan) => Promise<void>;
  /** One line for people. */
  readonly say: (line: string) => void;
  /** One line for the log alone. */
  readonly note: (line: string) => void;
  /** How long after the longest `stable_timeout` a revision may take to be stable, in milliseconds. */
  readonly stableSlackMs?: number;
}

/** How a change ended: null, or one sentence on why the revision before runs again. */
export type Outcome = string | null;

export interface RunnerEvents {
  /** A container's pid, or which containers there are. */
  pids: () => void;
  /** Any container has changed. */
  change: () => void;
}

const STABLE_SLACK_MS = 60_000;

export class RevisionRunner extends EventEmitter<RunnerEvents> {
  readonly #parts: RunnerParts;
  readonly #changes = new SerialQueue();
  readonly #ended = new AbortController();
  #plan: RevisionPlan | null = null;
  #containers: Map<string, ContainerSupervisor> = new Map();
  #onDemand: OnDemandContainers | null = null;
  #trial: Trial | null = null;
  #status: ContainerStatus | null = null;

  constructor(parts: RunnerParts) {
    super();
    this.#parts = parts;
  }

  /** The revision that runs. Only after `begin`. */
  get plan(): RevisionPlan {
    if (!this.#plan) throw new Error('no revision was begun');
    return this.#plan;
  }

  /** In order of their names. */
  get containers(): ReadonlyMap<string, ContainerSupervisor> {
    return this.#containers;
  }

  get onDemand(): OnDemandContainers {
    if (!this.#onDemand) throw new Error('no revision was begun');
    return this.#onDemand;
  }

  /** The name of the revision that is being tried, or undefined. */
  get trying(): string | undefined {
    return this.#trial?.plan.name;
  }

  /** The first revision. Resolves when it is known what it consists of; nothing of it is started yet. */
  begin(plan: RevisionPlan): Promise<void> {
    return this.#changes.run(async () => {
      await this.#parts.trails.setBoot({ done: plan.name, trying: null });
      await this.#take(plan);
    });
  }

  /** Starts its groups. Resolves when the turn of the last one is over. */
  start(): Promise<void> {
    return this.#changes.run(async () => {
      await startGroups(this.#groups(), this.#ended.signal, this.#parts.say);
    });
  }

  /** Takes up that revision, and the one before where it fails. Never rejects, but for errors of the disk. */
  change(plan: RevisionPlan): Promise<Outcome> {
    if (this.#trial) return Promise.resolve(`${this.#trial.plan.name} is being taken up`);
    const trial = new Trial(plan);
    this.#trial = trial;
    return this.#changes.run(async () => {
      try {
        return await this.#change(trial);
      } finally {
        if (this.#trial === trial) this.#trial = null;
      }
    });
  }

  /** Starts all containers anew. */
  reboot(why: string): Promise<void> {
    return this.#changes.run(async () => {
      if (this.#ended.signal.aborted || !this.#plan) return;
      this.#parts.say(`The revision ${this.plan.name} is started anew: ${why}.`);
      await this.#closeAll([...this.#containers.values()]);
      this.#containers = new Map();
      await this.#take(this.plan);
      await startGroups(this.#groups(), this.#ended.signal, this.#parts.say);
    });
  }

  /** Stops everything, for good. */
  async close(): Promise<void> {
    this.#ended.abort();
    this.#trial?.fail('pv-appengine was ended');
    await this.#changes.run(() => this.#closeAll([...this.#containers.values()]));
  }

  /** Those of one group, as the sequence of groups sees them. */
  membersOf(group: string): Member[] {
    return [...this.#containers.values()]
      .filter(({ settings }) => settings.group.name === group)
      .map((container) => this.#member(container));
  }

  async #change(trial: Trial): Promise<Outcome> {
    const { plan } = trial;
    const { say, trails } = this.#parts;
    if (this.#ended.signal.aborted) return 'pv-appengine ends';
    const before = this.plan;
    await trails.setBoot({ done: before.name, trying: plan.name });
    await trails.setProgress(plan.name, 'INPROGRESS', 'Containers are stopped and started');
    say(`The revision ${plan.name} is taken up in place of ${before.name}.`);
    await this.#take(plan);
    await trails.setProgress(plan.name, 'TESTING', 'Waiting for goals and for stable containers');
    const fault = await this.#prove(trial);
    if (this.#ended.signal.aborted) return 'pv-appengine ends'; // the journal says what was under way
    if (fault === null) {
      await trails.setBoot({ done: plan.name, trying: null });
      await trails.setProgress(plan.name, 'DONE', 'Update finished');
      say(`The revision ${plan.name} is DONE.`);
      return null;
    }
    await trails.setProgress(plan.name, 'ERROR', `${fault}; rolled back to ${before.name}`);
    await trails.setBoot({ done: before.name, trying: null });
    say(`The revision ${plan.name} has failed: ${fault}. ${before.name} is taken up again.`);
    this.#trial = null;
    await this.#take(before);
    await startGroups(this.#groups(), this.#ended.signal, say);
    return fault;
  }

  /** Null: it works. */
  async #prove(trial: Trial): Promise<string | null> {
    const listen = () => trial.look([...this.#containers.values()]);
    trial.forgive([...this.#containers.values()]);
    this.on('change', listen);
    try {
      const late = await startGroups(this.#groups(), trial.over, this.#parts.say);
      if (!late) return await trial.failed;
      const [group] = late;
      if (group) return `the group ${group.name} was not in time: ${waitsFor(group)}`;
      return await this.#stable(trial);
    } finally {
      this.off('change', listen);
      trial.end();
    }
  }

  async #stable(trial: Trial): Promise<string | null> {
    const members = () =>
      [...this.#containers.values()].filter((one) => !this.#member(one).isPassive);
    const longest = Math.max(0, ...members().map(({ recovery }) => recovery.stableMs));
    const slack = this.#parts.stableSlackMs ?? STABLE_SLACK_MS;
    const open = () => members().filter((one) => !one.isProven);
    const names = () =>
      open()
        .map(({ settings }) => printable(settings.name))
        .join(', ');
    if (open().length > 0) {
      this.#parts.say(`The commit is held: waiting for ${names()} to become stable.`);
    }
    let timer: NodeJS.Timeout | undefined;
    let look = (): void => undefined;
    const proven = new Promise<null>((resolve) => {
      look = () => {
        if (open().length === 0) resolve(null);
      };
      this.on('change', look);
      look();
    });
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`${names()} did not become stable`), longest + slack);
    });
    try {
      return await Promise.race([proven, late, trial.failed]);
    } finally {
      clearTimeout(timer);
      this.off('change', look);
    }
  }

  /** Has that revision run in place of what there is: nothing of it is started, what does not go on is stopped. */
  async #take(plan: RevisionPlan): Promise<void> {
    const known = this.#plan?.containers;
    const isKept = (name: string) =>
      this.#containers.has(name) &&
      known?.get(name)?.fingerprint === plan.containers.get(name)?.fingerprint;
    const leaving = [...this.#containers].filter(([name]) => !isKept(name));
    await this.#closeAll(leaving.map(([, container]) => container));
    const containers = [...plan.containers].map(([name, planned]) => {
      const kept = isKept(name) ? this.#containers.get(name) : undefined;
      return [name, kept ?? this.#make(plan.name, planned)] as const;
    });
    this.#containers = new Map(containers);
    this.#plan = plan;
    this.#onDemand = new OnDemandContainers(plan.revision, plan.dependencies, this.#containers);
    await this.#parts.onRevision(plan);
    this.emit('pids');
    this.#changed();
  }

  #make(revision: string, planned: PlannedContainer): ContainerSupervisor {
    const container = this.#parts.makeContainer(revision, planned);
    const name = printable(container.settings.name);
    container.on('news', (text) => this.#parts.say(`${name} ${text}`));
    container.on('pid', () => this.emit('pids'));
    container.on('change', () => this.#changed());
    container.on('reboot', () => {
      // What is being tried has failed by that, and the revision before comes back.
      if (!this.#trial) void this.reboot(`the retries of ${name} are used up`);
    });
    return container;
  }

  async #closeAll(containers: readonly ContainerSupervisor[]): Promise<void> {
    await Promise.all(
      containers.map(async (container) => {
        await container.close();
        container.removeAllListeners();
      }),
    );
  }

  #groups() {
    return this.plan.groups.map(({ name, timeout }) => ({
      name,
      timeout,
      members: this.membersOf(name),
    }));
  }

  #member(container: ContainerSupervisor): Member {
    const { settings } = container;
    const isCalled = this.#onDemand?.containers.has(settings.name) ?? false;
    return {
      name: printable(settings.name),
      goal: settings.statusGoal,
      get status() {
        return container.status;
      },
      get hasReachedGoal() {
        return container.hasReachedGoal;
      },
      get isPassive() {
        return settings.obstacle !== null || isCalled || container.lifecycle.userStopped;
      },
      block: () => container.block(),
      begin: () => container.begin(),
      onChange: (listener) => {
        container.on('change', listener);
        return () => container.off('change', listener);
      },
    };
  }

  #changed(): void {
    this.emit('change');
    const all = [...this.#containers.values()].map((container) => this.#member(container));
    const status = groupStatus(all);
    if (status === this.#status || this.#ended.signal.aborted) return;
    this.#status = status;
    const { note, say } = this.#parts;
    const tell = status === 'READY' ? say : note;
    tell(`The revision ${this.plan.name}: status is now ${status}.`);
  }
}

/** A revision that has to prove itself, until it fails or is over. */
class Trial {
  readonly plan: RevisionPlan;
  /** Resolves with why it has failed. */
  readonly failed: Promise<string>;
  readonly #over = new AbortController();
  /** Those that had failed before, and were not started since. */
  readonly #forgiven = new Set<ContainerSupervisor>();
  #fail!: (why: string) => void;

  constructor(plan: RevisionPlan) {
    this.plan = plan;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  /** Aborted when it has failed, and when it is over. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  fail(why: string): void {
    this.#fail(why);
    this.#over.abort();
  }

  end(): void {
    this.#over.abort();
  }

  /** What has failed so far is none of this revision's failures. */
  forgive(containers: readonly ContainerSupervisor[]): void {
    for (const container of containers) this.#forgiven.add(container);
  }

  /** A container that has ended for good, and not because it was told to, is a failure. */
  look(containers: readonly ContainerSupervisor[]): void {
    for (const container of containers) {
      const { lifecycle, settings } = container;
      if (lifecycle.end !== 'failed') this.#forgiven.delete(container);
      else if (lifecycle.userStopped || this.#forgiven.has(container)) continue;
      else this.fail(`${printable(settings.name)} has failed and is ${lifecycle.status}`);
    }
  }
}
