/**
 * The revisions on the disk, as Pantavisor lays them out, and which of them is to run.
 *
 *     trails/NAME/.pvr/json         the state
 *     trails/NAME/.pv/progress      how far taking it up has come
 *     trails/NAME/.pv/commitmsg     what whoever put it said of it
 *     trails/boot                   which revision runs, which one is being tried, and which one worked before
 *
 * NAME is `0` for what the command line gave, and `locals/...` for what was put. Every file is written durably
 * (durable.ts). `boot` is the journal of a change of revision: while a new one is being tried, it names both, so that
 * a start after a crash finds the one that is known to work.
 */
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isObject } from '../../manifest/json.js';
import { objectsOf } from '../../manifest/objects.js';
import { byName } from '../../manifest/text.js';
import { besides, isStoredName, syncFolder, writeDurably } from './durable.js';

/** NEW: it was put. INPROGRESS: it is being taken up. TESTING: it runs, and has to prove itself. */
export type StepStatus = 'NEW' | 'INPROGRESS' | 'TESTING' | 'DONE' | 'ERROR';

/** As pv-ctrl answers it. */
export interface Progress {
  readonly status: StepStatus;
  readonly 'status-msg': string;
  /** Percent. */
  readonly progress: number;
  readonly retries: number;
}

export interface Step {
  readonly name: string;
  /** When its state was put, ISO 8601. */
  readonly date: string;
  readonly commitmsg: string;
  readonly progress: Progress;
}

export interface Boot {
  /** The revision that is known to work. */
  readonly done: string;
  /** The one that is being tried in its place. */
  readonly trying: string | null;
  /** Another one that worked before `done`; absent: there was none. */
  readonly before?: string;
}

export type State = Readonly<Record<string, unknown>>;

/** The revision of the command line. */
export const FIRST = '0';
export const LOCALS = 'locals/';
const PERCENT: Readonly<Record<StepStatus, number>> = {
  NEW: 0,
  INPROGRESS: 50,
  TESTING: 95,
  DONE: 100,
  ERROR: 100,
};
export const MAX_MESSAGE = 4096;

/** The name of a revision that was put by this name, or undefined where it can't have it. */
export function localName(name: string): string | undefined {
  return isStoredName(name) ? `${LOCALS}${name}` : undefined;
}

export class Trails {
  readonly #folder: string;

  /** Makes the folder; throws where it can't. */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(join(folder, LOCALS), { recursive: true });
  }

  /** In order of their names, `0` first. */
  list(): Step[] {
    const locals = this.#namesIn(LOCALS).map((name) => `${LOCALS}${name}`);
    const names = [FIRST, ...locals.sort(byName)].filter((name) => this.has(name));
    return names.map((name) => this.step(name));
  }

  /** `locals/STEM-N`, with a number behind that of each that is there. */
  freeName(stem: string): string {
    const prefix = `${LOCALS}${stem}-`;
    const numbers = this.list()
      .filter(({ name }) => name.startsWith(prefix))
      .map(({ name }) => Number(name.slice(prefix.length)));
    return `${prefix}${Math.max(0, ...numbers.filter(Number.isFinite)) + 1}`;
  }

  has(name: string): boolean {
    return statSync(this.#file(name, '.pvr/json'), { throwIfNoEntry: false }) !== undefined;
  }

  /** The state of a revision; undefined where there is none, or none that can be read. */
  state(name: string): State | undefined {
    const state = this.#json(name, '.pvr/json');
    return isObject(state) ? state : undefined;
  }

  /** The file that its state is in, as JSON. */
  stateFile(name: string): string {
    return this.#file(name, '.pvr/json');
  }

  step(name: string): Step {
    const { mtime } = statSync(this.#file(name, '.pvr/json'));
    const date = mtime.toISOString().replace(/\.\d+Z$/, 'Z');
    const commitmsg = readIfThere(this.#file(name, '.pv/commitmsg'));
    return { name, date, commitmsg, progress: this.progress(name) };
  }

  progress(name: string): Progress {
    const found = this.#json(name, '.pv/progress');
    return isObject(found) ? (found as unknown as Progress) : progressOf('NEW', READY_TO_RUN);
  }

  async put(name: string, state: State): Promise<void> {
    await this.setProgress(name, 'NEW', READY_TO_RUN);
    await writeDurably(this.#file(name, '.pvr/json'), `${JSON.stringify(state)}\n`);
  }

  setProgress(name: string, status: StepStatus, message: string): Promise<void> {
    const progress = progressOf(status, message);
    return writeDurably(this.#file(name, '.pv/progress'), `${JSON.stringify(progress)}\n`);
  }

  setMessage(name: string, message: string): Promise<void> {
    return writeDurably(this.#file(name, '.pv/commitmsg'), message);
  }

  /** Null: nothing ran from here yet. */
  get boot(): Boot | null {
    const found = parsed(readIfThere(join(this.#folder, 'boot')));
    if (!isObject(found) || typeof found.done !== 'string') return null;
    return {
      done: found.done,
      trying: typeof found.trying === 'string' ? found.trying : null,
      ...(typeof found.before === 'string' ? { before: found.before } : {}),
    };
  }

  /** Which one worked before is remembered. */
  setBoot({ done, trying }: Omit<Boot, 'before'>): Promise<void> {
    const { boot } = this;
    const before = boot && boot.done !== done ? boot.done : boot?.before;
    const journal = { done, trying, ...(before === undefined ? {} : { before }) };
    return writeDurably(join(this.#folder, 'boot'), `${JSON.stringify(journal)}\n`);
  }

  /** A revision that was put is gone at once: it is renamed to what no listing shows, and removed then. */
  async remove(name: string): Promise<void> {
    const path = join(this.#folder, name);
    const gone = besides(path);
    await rename(path, gone);
    await syncFolder(dirname(path));
    await rm(gone, { recursive: true, force: true });
  }

  /** Removes what a process that was killed has left of revisions that are gone. */
  async sweep(): Promise<void> {
    const folder = join(this.#folder, LOCALS);
    for (const name of readdirSync(folder)) {
      if (name.startsWith('.')) await rm(join(folder, name), { recursive: true, force: true });
    }
  }

  /** Every object that a revision in here names. */
  objects(): Set<string> {
    return new Set(
      this.list().flatMap(({ name }) => [...objectsOf(this.state(name) ?? {}).values()]),
    );
  }

  #json(name: string, file: string): unknown {
    return parsed(readIfThere(this.#file(name, file)));
  }

  #file(name: string, file: string): string {
    return join(this.#folder, name, file);
  }

  #namesIn(folder: string): string[] {
    return readdirSync(join(this.#folder, folder)).filter((name) => localName(name) !== undefined);
  }
}

const READY_TO_RUN = 'Update ready to be run';

function progressOf(status: StepStatus, message: string): Progress {
  return { status, 'status-msg': message, progress: PERCENT[status], retries: 0 };
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
