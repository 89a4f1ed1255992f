/**
 * The life of a container as a state machine without I/O and without a clock: an event and the time in, the next state
 * and what is to be done out. container-supervisor.ts is its edge. The statuses are those that Pantavisor names.
 *
 *      block             mount, mounted
 *   INSTALLED ──▶ BLOCKED ──────────▶ MOUNTED          the first three: never started
 *        │           │                   │
 *        └───────────┴───────┬───────────┘
 *                            │ start          ┌───────────────────────────────┐
 *                            ▼                │ the wait is over, start       │
 *        ┌────────────── STARTING ◀───────────┴── RECOVERING                  │
 *        │       launched │     │ could not be       ▲     │                  │
 *        │                ▼     │ launched           │     │                  │
 *        │    ready ── STARTED  └────────────▶ it ended by itself             │
 *        │     └─▶ READY   │                          │     │ retries used up, │
 *        │           │     │                          ▼     │ or no recovery   │
 *        │ stop      └──┬──┘                     (judged) ──┴──▶ STOPPED ──────┘ start
 *        └──────────────┤ stop, restart                            ▲
 *                       ▼                it has ended              │
 *                   STOPPING ──────────────────────────────────────┘
 *
 * - STOPPING also while a launch is under way that was stopped: what it launched is asked to end then.
 * - A restart is STOPPING, and then STARTING.
 * - `userStopped` is set by a stop of the user, and holds everything back but the user's own start and restart.
 * - `start` and `restart` of the user set the retries back.
 */
import { FIRST_MS, MOST_MS, SETTLED_MS } from '../../kernel/back-off.js';
import type { StatusGoal } from '../../manifest/revision.js';
import type { Recovery } from './recovery.js';

/** In the order in which Pantavisor counts them. */
export const STATUSES = [
  'INSTALLED',
  'MOUNTED',
  'BLOCKED',
  'STARTING',
  'STARTED',
  'READY',
  'RECOVERING',
  'STOPPING',
  'STOPPED',
] as const;
export type ContainerStatus = (typeof STATUSES)[number];

/** `runtime`: by its group, or for a call on the bus. */
export type By = 'user' | 'runtime';

export type LifecycleEvent =
  /** An earlier group has not reached its goals. */
  | { readonly is: 'block' }
  | { readonly is: 'mount' }
  | { readonly is: 'mounted' }
  | { readonly is: 'not-mounted'; readonly why: string }
  | { readonly is: 'start'; readonly by: By }
  | { readonly is: 'launched'; readonly pid: number }
  | { readonly is: 'not-launched'; readonly why: string }
  /** The container says so. */
  | { readonly is: 'ready' }
  /** By itself or because it was asked to. `how`: for people; `isClean`: with an exit code of 0. */
  | { readonly is: 'ended'; readonly how: string; readonly isClean: boolean }
  | { readonly is: 'stop'; readonly by: By }
  | { readonly is: 'restart' }
  | { readonly is: 'wait-over' }
  | { readonly is: 'stable' };

export type LifecycleAction =
  | { readonly do: 'mount' }
  | { readonly do: 'launch' }
  /** What was launched is asked to end, and made to after a time. */
  | { readonly do: 'end' }
  | { readonly do: 'unmount' }
  /** `wait-over` is to come after that time. */
  | { readonly do: 'wait'; readonly ms: number }
  /** `stable` is to come after that time. */
  | { readonly do: 'watch'; readonly ms: number }
  /** Neither of the two is to come. */
  | { readonly do: 'forget' }
  /** The whole revision is to be started anew. */
  | { readonly do: 'reboot' }
  /** A sentence for people, without its subject. */
  | { readonly do: 'say'; readonly text: string };

export interface Lifecycle {
  readonly status: ContainerStatus;
  readonly userStopped: boolean;
  /** Since they were last set back. */
  readonly retries: number;
  /** Ran on as long as `stable_timeout` wants, having reached its goal. */
  readonly isStable: boolean;
  /** It has ended for good: `failed`, or because it had nothing more to do. */
  readonly end: 'failed' | 'done' | null;
  /** Mounting is under way. */
  readonly isMounting: boolean;
  /** The container has said that it is ready before its launch was reported. */
  readonly isReady: boolean;
  /** What follows STOPPING is a start. */
  readonly startsAgain: boolean;
  /** When it was launched last, in milliseconds. */
  readonly launchedAt: number;
  /** How often in a row it ended soon after its launch. */
  readonly quickEnds: number;
  /** The wait that it is in comes after all retries, which begin anew after it. */
  readonly isLongWait: boolean;
}

export interface LifecycleRules {
  readonly goal: StatusGoal;
  readonly recovery: Recovery;
}

export interface LifecycleStep {
  readonly next: Lifecycle;
  readonly actions: readonly LifecycleAction[];
}

export const INSTALLED: Lifecycle = {
  status: 'INSTALLED',
  userStopped: false,
  retries: 0,
  isStable: false,
  end: null,
  isMounting: false,
  isReady: false,
  startsAgain: false,
  launchedAt: 0,
  quickEnds: 0,
  isLongWait: false,
};

/** The longest wait before a retry, where a `retry_delay` is given. */
const MOST_DELAY_MS = 24 * 3_600_000;

/** Whether it is where it is wanted. What has done all it had to do was there. */
export function hasReached({ status, end }: Lifecycle, goal: StatusGoal): boolean {
  if (status === 'READY' || end === 'done') return true;
  if (goal === 'READY') return false;
  return status === 'STARTED' || (goal === 'MOUNTED' && status === 'MOUNTED');
}

/** `now`: milliseconds of a clock that only goes forward. */
export function step(
  state: Lifecycle,
  event: LifecycleEvent,
  now: number,
  rules: LifecycleRules,
): LifecycleStep {
  const { status } = state;
  switch (event.is) {
    case 'block':
      return to(state, status === 'INSTALLED' && !state.isMounting ? { status: 'BLOCKED' } : {});
    case 'mount':
      if (state.isMounting || !isFresh(status) || status === 'MOUNTED') return to(state);
      return to(state, { status: 'INSTALLED', isMounting: true }, { do: 'mount' });
    case 'mounted':
      return afterMount({ ...state, isMounting: false });
    case 'not-mounted':
      return afterMount({ ...state, isMounting: false }, event.why);
    case 'start':
      return start(state, event.by);
    case 'launched':
      return launched(state, event.pid, now, rules);
    case 'not-launched':
      if (status === 'STOPPING') return stopped(state);
      return judge(state, `did not start: ${event.why}`, false, 0, rules);
    case 'ready':
      return ready(state, rules);
    case 'ended':
      if (status === 'STOPPING') return stopped(state);
      return judge(state, `ended (${event.how})`, event.isClean, now - state.launchedAt, rules);
    case 'stop':
      return stop(event.by === 'user' ? { ...state, userStopped: true } : state);
    case 'restart':
      return restart({ ...state, userStopped: false, retries: 0, quickEnds: 0 });
    case 'wait-over':
      if (status !== 'RECOVERING') return to(state);
      return launch(state.isLongWait ? { ...state, retries: 0 } : state);
    case 'stable':
      if (!hasReached(state, rules.goal) || state.isStable) return to(state);
      return to(state, { isStable: true }, say('is now STABLE.'));
  }
}

function to(
  state: Lifecycle,
  changes: Partial<Lifecycle> = {},
  ...actions: LifecycleAction[]
): LifecycleStep {
  return { next: { ...state, ...changes }, actions };
}

function say(text: string): LifecycleAction {
  return { do: 'say', text };
}

/** It was never started. */
function isFresh(status: ContainerStatus): boolean {
  return status === 'INSTALLED' || status === 'BLOCKED' || status === 'MOUNTED';
}

function afterMount(state: Lifecycle, fault?: string): LifecycleStep {
  if (state.status === 'STOPPING') return stopped(state);
  if (state.status === 'STARTING') return launch(state); // it is mounted there, or says why not
  if (fault === undefined) return to(state, { status: 'MOUNTED' }, say('is mounted.'));
  return to(state, { status: 'STOPPED', end: 'failed' }, say(`is not mounted: ${fault}.`));
}

function start(state: Lifecycle, by: By): LifecycleStep {
  const { status } = state;
  if (by === 'runtime' && state.userStopped) return to(state);
  const wanted = by === 'user' ? { ...state, userStopped: false, retries: 0, quickEnds: 0 } : state;
  if (status === 'STOPPING') return to(wanted, { startsAgain: true });
  if (status === 'STARTING' || status === 'STARTED' || status === 'READY') return to(wanted);
  if (status === 'RECOVERING' && by === 'runtime') return to(wanted);
  if (state.isMounting) return to(wanted, { status: 'STARTING' });
  return launch(wanted);
}

function launch(state: Lifecycle): LifecycleStep {
  const changes: Partial<Lifecycle> = {
    status: 'STARTING',
    end: null,
    isReady: false,
    isStable: false,
    startsAgain: false,
    isLongWait: false,
  };
  return to(state, changes, { do: 'forget' }, { do: 'launch' });
}

function launched(
  state: Lifecycle,
  pid: number,
  now: number,
  { goal, recovery }: LifecycleRules,
): LifecycleStep {
  if (state.status === 'STOPPING') return to(state, { launchedAt: now }, { do: 'end' });
  const status = state.isReady ? 'READY' : 'STARTED';
  const next: Lifecycle = { ...state, status, launchedAt: now };
  return watched(next, goal, recovery, say(`is running, pid ${pid}.`));
}

function ready(state: Lifecycle, { goal, recovery }: LifecycleRules): LifecycleStep {
  if (state.status === 'STARTING') return to(state, { isReady: true });
  if (state.status !== 'STARTED') return to(state);
  const next: Lifecycle = { ...state, status: 'READY' };
  const said = say('says that it is ready.');
  // Whose goal is less is being watched already.
  return goal === 'READY' ? watched(next, goal, recovery, said) : to(next, {}, said);
}

/** Its time to prove itself begins when it has reached its goal. */
function watched(
  state: Lifecycle,
  goal: StatusGoal,
  { stableMs }: Recovery,
  said: LifecycleAction,
): LifecycleStep {
  if (!hasReached(state, goal)) return to(state, {}, said);
  if (stableMs === 0) return to(state, { isStable: true }, said);
  return to(state, {}, said, { do: 'watch', ms: stableMs });
}

function stop(state: Lifecycle): LifecycleStep {
  const next = { ...state, startsAgain: false };
  switch (state.status) {
    case 'STARTED':
    case 'READY':
      return to(next, { status: 'STOPPING', isStable: false }, { do: 'forget' }, { do: 'end' });
    case 'STARTING':
    case 'STOPPING':
      return to(next, { status: 'STOPPING' });
    case 'STOPPED':
      return to(next);
    default:
      return state.isMounting ? to(next, { status: 'STOPPING' }) : stopped(next);
  }
}

function restart(state: Lifecycle): LifecycleStep {
  const { status } = state;
  if (status === 'STARTED' || status === 'READY' || status === 'STARTING') {
    const stopping = stop(state);
    return { ...stopping, next: { ...stopping.next, startsAgain: true } };
  }
  return start(state, 'user');
}

function stopped(state: Lifecycle): LifecycleStep {
  if (state.startsAgain) return launch(state);
  const changes: Partial<Lifecycle> = { status: 'STOPPED', isStable: false };
  return to(state, changes, { do: 'forget' }, { do: 'unmount' }, say('is stopped.'));
}

/** It ended by itself, or could not be launched. `what`: the beginning of a sentence. */
function judge(
  state: Lifecycle,
  what: string,
  isClean: boolean,
  lastedMs: number,
  { recovery }: LifecycleRules,
): LifecycleStep {
  const { policy, maxRetries, resetWindowMs } = recovery;
  if (policy === 'no' || (policy === 'on-failure' && isClean)) {
    const why = policy === 'no' ? 'it has no auto_recovery' : 'that is no failure';
    return end(state, isClean ? 'done' : 'failed', `${what}; it is not started again: ${why}.`);
  }
  const isReset = resetWindowMs > 0 && lastedMs >= resetWindowMs;
  const before = isReset ? 0 : state.retries;
  const quickEnds = lastedMs >= SETTLED_MS ? 0 : state.quickEnds;
  if (maxRetries > 0 && before >= maxRetries) return exhausted(state, what, recovery);
  const retries = before + 1;
  const ms = waitBefore(retries, quickEnds, recovery);
  const when = ms === 0 ? 'at once' : `in ${ms / 1000} s`;
  const attempt = maxRetries > 0 ? `attempt ${retries}/${maxRetries}` : `attempt ${retries}`;
  return to(
    state,
    { status: 'RECOVERING', retries, quickEnds: quickEnds + 1, isStable: false, isLongWait: false },
    { do: 'forget' },
    { do: 'wait', ms },
    say(`${what}; it is started again ${when} (${attempt}).`),
  );
}

function waitBefore(retries: number, quickEnds: number, recovery: Recovery): number {
  const { retryDelayMs, backOffFactor } = recovery;
  if (retryDelayMs > 0)
    return Math.min(retryDelayMs * backOffFactor ** (retries - 1), MOST_DELAY_MS);
  if (quickEnds === 0) return 0; // else as any program that is restarted (kernel/back-off.ts)
  return Math.min(FIRST_MS * 2 ** (quickEnds - 1), MOST_MS);
}

function exhausted(state: Lifecycle, what: string, recovery: Recovery): LifecycleStep {
  const { backOffPolicy, backOffText, maxRetries } = recovery;
  const begin = `${what}, after ${maxRetries} retries; backoff_policy ${backOffText}`;
  if (backOffPolicy === 'never') return end(state, 'failed', `${begin}: it is left stopped.`);
  if (backOffPolicy === 'reboot') {
    const ended = end(state, 'failed', `${begin}: the whole revision is started anew.`);
    return { ...ended, actions: [...ended.actions, { do: 'reboot' }] };
  }
  return to(
    state,
    { status: 'RECOVERING', isStable: false, isLongWait: true, quickEnds: 0, end: 'failed' },
    { do: 'forget' },
    { do: 'wait', ms: backOffPolicy },
    say(`${begin}: retries begin anew in ${backOffPolicy / 1000} s.`),
  );
}

function end(state: Lifecycle, how: 'failed' | 'done', text: string): LifecycleStep {
  const changes: Partial<Lifecycle> = { status: 'STOPPED', end: how, isStable: how === 'done' };
  return to(state, changes, { do: 'forget' }, { do: 'unmount' }, say(text));
}
