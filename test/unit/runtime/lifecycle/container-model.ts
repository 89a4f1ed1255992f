/**
 * The life of a container in virtual time: what the state machine asks for is done by a model of an engine and of
 * timers, and time goes from one thing that is due to the next.
 */
import {
  INSTALLED,
  type Lifecycle,
  type LifecycleAction,
  type LifecycleEvent,
  type LifecycleRules,
  step,
} from '../../../../src/runtime/lifecycle/lifecycle.js';

interface Due {
  readonly at: number;
  readonly what: 'wait' | 'watch' | 'engine' | 'end';
  readonly event: LifecycleEvent;
}

/** How long the engine takes for anything, in milliseconds. */
export const ENGINE_MS = 10;

export class ContainerModel {
  state: Lifecycle = INSTALLED;
  now = 0;
  /** How often it was launched, and whether one of these runs. */
  launches = 0;
  isRunning = false;
  reboots = 0;
  news: string[] = [];
  /** Each status that it had, with the time at which it came. */
  history: [number, string][] = [];
  /** How long each run lasts until it ends by itself, in milliseconds, and its exit code; absent: for ever. */
  run: { readonly ms: number; readonly code: number } | null = null;
  /** What launches from now on fail with. */
  why: string | null = null;
  readonly #rules: LifecycleRules;
  #due: Due[] = [];

  constructor(rules: LifecycleRules) {
    this.#rules = rules;
  }

  get waits(): number {
    return this.#due.filter(({ what }) => what === 'wait').length;
  }

  on(event: LifecycleEvent): void {
    if (event.is === 'launched') this.#begin();
    if (event.is === 'ended') this.isRunning = false;
    const { next, actions } = step(this.state, event, this.now, this.#rules);
    if (next.status !== this.state.status) this.history.push([this.now, next.status]);
    this.state = next;
    for (const action of actions) this.#do(action);
  }

  /** Lets everything happen that is due within that time. */
  pass(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const next = this.#due.sort((a, b) => a.at - b.at)[0];
      if (!next || next.at > until) break;
      this.#due.shift();
      this.now = next.at;
      this.on(next.event);
    }
    this.now = until;
  }

  /** Ends what runs. */
  end(how: string): void {
    if (!this.isRunning) return;
    this.#forget('end');
    this.on({ is: 'ended', how, isClean: how === 'exit code 0' });
  }

  /** The times at which it began to start. */
  starts(): number[] {
    return this.history.filter(([, status]) => status === 'STARTING').map(([at]) => at);
  }

  #begin(): void {
    this.isRunning = true;
    if (!this.run) return;
    const { ms, code } = this.run;
    const event = { is: 'ended', how: `exit code ${code}`, isClean: code === 0 } as const;
    this.#in(ms, 'end', event);
  }

  #do(action: LifecycleAction): void {
    switch (action.do) {
      case 'mount':
        this.#in(ENGINE_MS, 'engine', { is: 'mounted' });
        return;
      case 'launch':
        this.launches++;
        this.#in(
          ENGINE_MS,
          'engine',
          this.why === null
            ? { is: 'launched', pid: this.launches }
            : { is: 'not-launched', why: this.why },
        );
        return;
      case 'end':
        this.#forget('end');
        this.#in(ENGINE_MS, 'end', { is: 'ended', how: 'signal SIGTERM', isClean: false });
        return;
      case 'wait':
        this.#in(action.ms, 'wait', { is: 'wait-over' });
        return;
      case 'watch':
        this.#in(action.ms, 'watch', { is: 'stable' });
        return;
      case 'forget':
        this.#forget('wait');
        this.#forget('watch');
        return;
      case 'reboot':
        this.reboots++;
        return;
      case 'say':
        this.news.push(action.text);
        return;
      case 'unmount':
    }
  }

  #in(ms: number, what: Due['what'], event: LifecycleEvent): void {
    this.#due.push({ at: this.now + ms, what, event });
  }

  #forget(what: Due['what']): void {
    this.#due = this.#due.filter((one) => one.what !== what);
  }
}
