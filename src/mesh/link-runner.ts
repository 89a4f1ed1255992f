/**
 * The executor of one link: takes the steps that bring the attached link to the desired one.
 *
 * One step is under way at a time; the executors of other links are independent of it. If the desired link changes
 * during a step, the next step is planned when that one has ended. A step that does not end in time is shown as failed.
 * If it ends later, its result is used if it is still wanted, and undone otherwise. Failed steps are tried again with
 * back-off.
 */
import type { Link, LinkState } from '../graph/link.js';
import { type LinkError, XConnectError } from '../kernel/errors.js';
import { Following } from '../kernel/following.js';
import { failed, type Result } from '../kernel/result.js';
import { Retry } from '../kernel/retry.js';
import type {
  AttachedLink,
  Attacher,
  Detached,
  Fault,
  LinkStats,
  OnConnectionEnd,
  OpenConnection,
  Probed,
  Tap,
  TapSink,
} from './attacher.js';
import { type Current, type Desired, plan, type Step } from './plan.js';
import { StatsSum } from './stats.js';
import { followTaps } from './taps.js';

export const WATCHDOG_MS = 10_000;

const NOT_ATTACHED: LinkError = {
  code: 'timed-out',
  message: 'The link is not made now, so nothing can be tried over it.',
};

export interface RunnerEvents {
  onState(state: LinkState, error: LinkError | null): void;
  /** The graph named a process that has ended: a newer graph is needed. */
  onStale(): void;
  /** No step is under way any more. */
  onIdle(): void;
  /** The link is not desired any more, and nothing of it is left. */
  onGone(): void;
}

interface Attached extends Current {
  readonly handle: AttachedLink;
  link: Link;
  stamp: number;
  lost: boolean;
  providerGone: boolean;
}

export class LinkRunner {
  readonly #attacher: Attacher;
  readonly #events: RunnerEvents;
  readonly #drainMs: () => number;
  readonly #mayStep: () => boolean;
  readonly #retry = new Retry();
  readonly #stats = new StatsSum<AttachedLink>();
  /** What somebody wants of all attachments that may still have connections. */
  readonly #following = new Following<AttachedLink>(() => this.#stats.live);
  /** Attachments that were left, and have connections open. */
  #draining = 0;
  #desired: Desired | null = null;
  #current: Attached | null = null;
  #running = false;

  constructor(
    attacher: Attacher,
    { drainMs, mayStep }: { drainMs: () => number; mayStep: () => boolean },
    events: RunnerEvents,
  ) {
    this.#attacher = attacher;
    this.#drainMs = drainMs;
    this.#mayStep = mayStep;
    this.#events = events;
  }

  get desired(): Desired | null {
    return this.#desired;
  }

  /** No step is under way. */
  get isIdle(): boolean {
    return !this.#running;
  }

  /** null: the link leaves. `fresh`: the graph changed, so a step that failed is tried again at once. */
  want(desired: Desired | null, fresh: boolean): void {
    this.#desired = desired;
    if (fresh || !desired) this.#retry.reset();
    if (!this.#retry.isPending) void this.#run();
  }

  /** Steps may be taken again. */
  thaw(): void {
    if (!this.#retry.isPending) void this.#run();
  }

  stats(): LinkStats {
    return this.#stats.sum();
  }

  /** What the current attachment shows, see `AttachedLink`. */
  shown(): Readonly<Record<string, unknown>> {
    return this.#current?.handle.shown() ?? {};
  }

  /** Of all attachments that still have some, ordered by their place. */
  async connections(): Promise<OpenConnection[]> {
    const all = await Promise.all([...this.#stats.live].map((handle) => handle.connections()));
    return all.flat().sort((a, b) => a.place[0] - b.place[0] || a.place[1] - b.place[1]);
  }

  /** As of AttachedLink, of all attachments, and those to come. */
  watch(onEnd: OnConnectionEnd): () => void {
    return this.#following.follow((handle) => handle.watch(onEnd));
  }

  /** As of AttachedLink, of all attachments, and those to come. */
  tap(sink: TapSink): Tap {
    return followTaps(this.#following, (handle) => handle.tap(sink));
  }

  /** As of AttachedLink, of the current attachment. */
  async probe(): Promise<Result<Probed>> {
    return this.#current?.handle.probe() ?? failed(NOT_ATTACHED);
  }

  /** As of AttachedLink, of all attachments, and those to come. */
  fault(fault: Fault): () => void {
    return this.#following.follow((handle) => handle.fault(fault));
  }

  async #run(): Promise<void> {
    if (this.#running || !this.#mayStep()) return;
    this.#running = true;
    let again = true;
    while (again && this.#mayStep()) {
      const step = plan(this.#desired, this.#current, (pid) => this.#attacher.generation(pid));
      again = await this.#take(step);
    }
    this.#running = false;
    if (!this.#desired && !this.#current) this.#leave();
    this.#events.onIdle();
  }

  /** True: plan the next step. */
  async #take(step: Step): Promise<boolean> {
    switch (step.do) {
      case 'nothing':
        return false;
      case 'show':
        this.#events.onState(step.state, step.error);
        return false;
      case 'retarget':
        this.#retarget(this.#current as Attached, this.#desired as Desired);
        return true;
      case 'detach':
        await this.#detach(this.#current as Attached, step.revoked);
        return true;
      case 'attach':
        return this.#attach(this.#desired as Desired);
    }
  }

  async #attach(desired: Desired): Promise<boolean> {
    const watchdog = setTimeout(() => {
      const message = `Attaching took longer than ${WATCHDOG_MS / 1000} s.`;
      this.#events.onState('failed', { code: 'timed-out', message });
    }, WATCHDOG_MS);
    let attached: Attached | null = null;
    try {
      const handle = await this.#attacher.attach(desired.link, desired.stamp, {
        onState: (state, error) => {
          if (!attached || attached !== this.#current) return;
          attached.providerGone = isGone(error);
          if (!attached.lost) this.#events.onState(state, error);
          if (error?.code === 'container-gone') this.#retry.schedule(() => this.#events.onStale());
        },
        onLost: (error) => {
          if (!attached || attached.lost) return;
          attached.lost = true;
          if (attached !== this.#current) return;
          this.#events.onState('waiting', error);
          void this.#run();
        },
      });
      attached = {
        ...desired,
        handle,
        consumerGeneration: handle.consumerGeneration,
        lost: false,
        providerGone: false,
      };
      this.#stats.add(handle);
      this.#following.joined(handle);
      this.#current = attached;
      this.#retry.reset();
      return true;
    } catch (thrown) {
      return this.#failed(desired, XConnectError.from(thrown));
    } finally {
      clearTimeout(watchdog);
    }
  }

  #failed(desired: Desired, error: XConnectError): boolean {
    if (this.#desired !== desired) return true;
    const gone = error.code === 'container-gone';
    this.#events.onState(gone ? 'waiting' : 'failed', error.toLinkError());
    if (gone) this.#events.onStale();
    this.#retry.schedule(() => void this.#run());
    return false;
  }

  #retarget(current: Attached, { link, stamp }: Desired): void {
    current.link = link;
    current.stamp = stamp;
    current.providerGone = false;
    void current.handle.retarget(link, stamp);
  }

  async #detach(current: Attached, revoked: boolean): Promise<void> {
    const drainMs = revoked || current.lost ? 0 : this.#drainMs();
    const { removed, done }: Detached = current.handle.detach(drainMs);
    this.#current = null;
    this.#events.onState(this.#desired ? 'waiting' : 'draining', null);
    this.#draining++;
    void done.then(() => {
      this.#stats.settle(current.handle);
      this.#following.left(current.handle);
      this.#draining--;
      if (!this.#desired && !this.#current) this.#leave();
    });
    await removed;
  }

  #leave(): void {
    if (this.#running || this.#draining > 0) return;
    this.#retry.cancel();
    this.#events.onGone();
  }
}

function isGone(error: LinkError | null): boolean {
  return error?.code === 'provider-not-running' || error?.code === 'container-gone';
}
