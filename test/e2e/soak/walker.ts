/**
 * Walks through a town: one piece of bad luck after the other, picked by numbers, and after each the wait until
 * everything is as it has to be. What a step does depends on the numbers and on the steps before it alone, never on what
 * is found, so that the same numbers are the same walk.
 */
import { expect } from 'vitest';
import type { AppEngineProcess } from '../../integration/runtime/appengine-process.js';
import { request } from '../../support/daemon.js';
import { childNamed } from '../../support/processes.js';
import { eventually, pause } from '../../support/wait.js';
import type { Town } from './town.js';

/** What came of it. */
export interface Walk {
  steps: number;
  /** How often each thing was done. */
  readonly done: Record<string, number>;
  /** The longest until everything was right again, in milliseconds, by the last thing that was done before. */
  readonly settledMs: Record<string, number>;
  /** A line for each thing that was done. */
  readonly log: string[];
}

interface Done {
  /** For the log. */
  readonly what: string;
  /** Resolves when the killed process has a successor. */
  readonly isOver?: () => Promise<void>;
}

type State = Record<string, unknown>;

interface ShownLink {
  readonly consumer: string;
  readonly name: string;
  readonly connections?: { readonly active: number };
}

/** How often each is picked, beside the others. */
const WEIGHTS = {
  'stop or start a container': 6,
  'restart a container': 3,
  'kill a container': 5,
  'kill the daemon': 1,
  'kill the relay': 1,
  'kill the broker': 1,
  'kill pv-xconnect': 1,
  'restart pv-xconnect': 1,
  'change the revision': 3,
  'try a revision that fails': 1,
} as const;
type Deed = keyof typeof WEIGHTS;

/** The next thing is done before everything is right again, that often. */
const HASTE = 0.3;
/** Up to so many milliseconds go by before the next thing. */
const BETWEEN_MS = 3_000;
/** Whoever lives in a container heeds it: resident.py. */
const QUIET = '/user-meta/quiet';
/** Where others share the processors, a soak may have few of them. */
const LONG = { timeoutMs: 240_000, intervalMs: 100 };

export class Walker {
  readonly walk: Walk = { steps: 0, done: {}, settledMs: {}, log: [] };
  readonly #runtime: AppEngineProcess;
  readonly #town: Town;
  readonly #random: () => number;
  readonly #stopped = new Set<string>();
  #current: State | undefined;
  #revisions = 0;

  /** `random`: numbers below 1. */
  constructor(runtime: AppEngineProcess, town: Town, random: () => number) {
    this.#runtime = runtime;
    this.#town = town;
    this.#random = random;
  }

  async step(): Promise<void> {
    const { walk } = this;
    const deed = this.#pickDeed();
    const isHasty = this.#random() < HASTE;
    const between = this.#random() * BETWEEN_MS;
    const from = Date.now();
    const { what, isOver } = await this.#do(deed);
    walk.steps++;
    walk.done[deed] = (walk.done[deed] ?? 0) + 1;
    if (!isHasty) {
      await isOver?.();
      await this.settle();
      const took = Date.now() - from;
      walk.settledMs[deed] = Math.max(walk.settledMs[deed] ?? 0, took);
      walk.log.push(`${new Date().toISOString()} ${deed}: ${what}, right after ${took} ms`);
      await pause(between); // traffic goes on for a while, whatever it comes to
    } else {
      walk.log.push(`${new Date().toISOString()} ${deed}: ${what}`);
    }
  }

  /** Waits until every container and every link is as it has to be. */
  async settle(): Promise<void> {
    const isUp = (name: string) => !this.#stopped.has(name);
    await eventually(async () => {
      const { body: containers } = await this.#runtime.get('/containers');
      for (const { name, status } of containers)
        expect([name, status]).toEqual([name, isUp(name) ? 'STARTED' : 'STOPPED']);
      const { body: links } = await this.#runtime.get('/xconnect-graph');
      const wrong = links.filter(
        ({ consumer, provider, state }: Record<string, string>) =>
          state !==
          (this.#stands(consumer as string, provider as string) ? 'established' : 'waiting'),
      );
      expect(wrong).toEqual([]);
      expect(links.length).toBeGreaterThan(0);
    }, LONG);
  }

  /** The daemon and its processes anew, with nothing that is still open for a while. */
  async restartDaemon(): Promise<void> {
    await this.#do('restart pv-xconnect');
    await this.settle();
  }

  /** Everything as it was at the beginning. */
  async restore(): Promise<void> {
    for (const name of [...this.#stopped]) await this.#act(name, 'start');
    this.#stopped.clear();
    await this.#takeUp('0', 'DONE');
    await this.settle();
  }

  /** Has all traffic end, in its own time, or begin again. */
  async quiet(isWanted: boolean): Promise<void> {
    const { status } = isWanted
      ? await this.#runtime.ask('PUT', QUIET, 'please')
      : await this.#runtime.ask('DELETE', QUIET);
    expect(status).toBe(200);
  }

  /** Waits until no link has a connection any more. */
  async idle(): Promise<void> {
    await eventually(async () => {
      const links = (await request(this.#runtime.control, '/xconnect-graph')) as ShownLink[];
      const open = links.filter(({ connections }) => (connections?.active ?? 0) > 0);
      expect(open.map(({ consumer, name }) => `${consumer} ${name}`)).toEqual([]);
    }, LONG);
  }

  async #do(deed: Deed): Promise<Done> {
    switch (deed) {
      case 'stop or start a container':
        return this.#toggle(this.#pick(this.#town.names));
      case 'restart a container':
        return this.#restart(this.#pick(this.#town.names));
      case 'kill a container':
        return this.#kill(this.#pick(this.#town.names));
      case 'kill the daemon':
        return this.#killProcess('node', () => this.#child('node'));
      case 'kill the relay':
        return this.#killProcess('pvx-relay', () => this.#child('pvx-relay'));
      case 'kill the broker':
        return this.#killProcess('pvx-broker', () => this.#child('pvx-broker'));
      case 'kill pv-xconnect':
        return this.#killProcess('pv-xconnect', () => this.#supervisor());
      case 'restart pv-xconnect':
        expect((await this.#put('/daemons/pv-xconnect', 'restart')).status).toBe(200);
        return { what: 'as asked over pv-ctrl' };
      case 'change the revision':
        return this.#change();
      case 'try a revision that fails':
        return this.#fail();
    }
  }

  #pickDeed(): Deed {
    const all = Object.entries(WEIGHTS) as [Deed, number][];
    let left = this.#random() * all.reduce((total, [, weight]) => total + weight, 0);
    return (all.find(([, weight]) => {
      left -= weight;
      return left < 0;
    }) ?? (all[0] as [Deed, number]))[0];
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)] as T;
  }

  #stands(consumer: string, provider: string): boolean {
    return !this.#stopped.has(consumer) && !this.#stopped.has(provider);
  }

  async #toggle(name: string): Promise<Done> {
    if (this.#stopped.delete(name)) {
      await this.#act(name, 'start');
      return { what: `start ${name}` };
    }
    await this.#act(name, 'stop');
    this.#stopped.add(name);
    return { what: `stop ${name}` };
  }

  async #restart(name: string): Promise<Done> {
    await this.#act(name, 'restart');
    this.#stopped.delete(name);
    return { what: name };
  }

  async #kill(name: string): Promise<Done> {
    if (this.#stopped.has(name)) return this.#toggle(name);
    return this.#killProcess(name, () => this.#runtime.pidOf(name));
  }

  /** It may be in the middle of something that does not go together with the action. */
  async #act(name: string, action: string): Promise<void> {
    await eventually(async () => {
      const { status, body } = await this.#put(`/containers/${name}`, action);
      if (status !== 200) throw new Error(`${action} ${name}: ${status} ${JSON.stringify(body)}`);
    }, LONG);
  }

  #put(path: string, action: string) {
    return this.#runtime.ask('PUT', path, { action });
  }

  async #supervisor(): Promise<number> {
    return eventually(async () => {
      const { body } = await this.#runtime.get('/daemons');
      if (!(body[0].pid > 0)) throw new Error('pv-xconnect does not run');
      return body[0].pid as number;
    }, LONG);
  }

  async #child(name: string): Promise<number> {
    return eventually(async () => {
      const found = childNamed(await this.#supervisor(), name);
      if (found === 0) throw new Error(`there is no ${name}`);
      return found;
    }, LONG);
  }

  /** `find`: its pid, once it has one. */
  async #killProcess(what: string, find: () => Promise<number>): Promise<Done> {
    const pid = await find();
    process.kill(pid, 'SIGKILL');
    const isOver = () => eventually(async () => expect(await find(), what).not.toBe(pid), LONG);
    return { what: `${what}, process ${pid}`, isOver };
  }

  /** Others of its roles have one to three containers stopped and started. */
  async #change(): Promise<Done> {
    const count = 1 + Math.floor(this.#random() * 3);
    const changed = new Set(Array.from({ length: count }, () => this.#pick(this.#town.names)));
    const number = ++this.#revisions;
    const state = { ...(await this.#state()) };
    for (const name of changed) this.#alter(state, name, { roles: [`role-${number}`] });
    await this.#takeUp(await this.#putStep(number, state), 'DONE');
    this.#current = state;
    for (const name of changed) this.#stopped.delete(name);
    return { what: [...changed].join(', ') };
  }

  /** A container of it ends at once; the revision before comes back. */
  async #fail(): Promise<Done> {
    const name = this.#pick(this.#town.names.filter((one) => one.startsWith('ns-')));
    const state = { ...(await this.#state()) };
    const recovery = { policy: 'on-failure', max_retries: 1, stable_timeout: 30 };
    this.#alter(state, name, { exec: ['sh', '-c', 'exit 3'], auto_recovery: recovery });
    await this.#takeUp(await this.#putStep(++this.#revisions, state), 'ERROR');
    this.#stopped.delete(name);
    return { what: name };
  }

  #alter(state: State, name: string, fields: object): void {
    const key = `${name}/run.json`;
    state[key] = { ...(state[key] as object), ...fields };
  }

  /** The state that runs. */
  async #state(): Promise<State> {
    this.#current ??= (await this.#runtime.get('/steps/current')).body as State;
    return this.#current;
  }

  async #putStep(number: number, state: State): Promise<string> {
    const name = `locals/step-${number}`;
    expect((await this.#runtime.ask('PUT', `/steps/${name}`, state)).status).toBe(200);
    return name;
  }

  /** Resolves when that has come of it. */
  async #takeUp(payload: string, status: 'DONE' | 'ERROR'): Promise<void> {
    await eventually(async () => {
      const asked = await this.#runtime.ask('POST', '/commands', { op: 'LOCAL_RUN', payload });
      if (asked.status !== 200) throw new Error(`${payload}: ${JSON.stringify(asked)}`);
    }, LONG);
    await eventually(async () => {
      const { body } = await this.#runtime.get(`/steps/${payload}/progress`);
      expect([payload, body]).toMatchObject([payload, { status }]);
    }, LONG);
  }
}
