/**
 * Builds the graph from a revision and a pids file (see pids-file.ts), and again when either changes.
 *
 * Changes are seen by watching the folders, so a new pid is in the graph within tens of milliseconds, and by a
 * look every second or so, for file systems that tell nobody. A revision or pids file that can't be read
 * leaves the last good one in place. One look at a time; those asked for meanwhile become one.
 */
import { XConnectError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import { readRevision } from '../manifest/reader.js';
import type { Revision } from '../manifest/revision.js';
import { printable } from '../manifest/text.js';
import { buildGraph, type HostedBus } from './builder.js';
import type { GraphSnapshot } from './link.js';
import { type Pids, PidsFile } from './pids-file.js';
import { addParent, lookAtRevision } from './revision-look.js';
import { GraphSource } from './source.js';
import { WatchSet } from './watch-set.js';

/** Long enough for the writes of one change to come together, short enough that nobody waits for it. */
const SETTLE_MS = 20;
const POLL_MS = 1000;
/** Polling may take one part in so many of the time, however large the revision. */
const POLL_SHARE = 50;

export interface StateSourceOptions {
  /** Any shape that `readRevision` takes. */
  readonly statePath: string;
  /** Absent: no container runs. */
  readonly pidsPath?: string;
  readonly hostedBus?: HostedBus;
  readonly log: Logger;
}

const NO_PIDS: Pids = { pids: new Map(), addresses: new Map(), stamp: 0, warnings: [] };

export class StateSource extends GraphSource {
  readonly #options: StateSourceOptions;
  readonly #log: Logger;
  readonly #watches: WatchSet;
  readonly #pidsFile: PidsFile | null;
  #revision: Revision | null = null;
  #pids: Pids = NO_PIDS;
  #fingerprint = '';
  /** Somebody doubts the processes: a graph with a newer stamp is news, even with the same links. */
  #doubted = false;
  #emitted: { readonly stamp: number; readonly links: string } | null = null;
  /** What the last graph was built from. */
  #built: { readonly revision: Revision; readonly pids: Pids } | null = null;
  #problems = '[]';
  #warnings = '[]';
  #failing = '';
  #running = false;
  #again = false;
  #stopped = false;
  #settle: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;

  constructor(options: StateSourceOptions) {
    super();
    this.#options = options;
    this.#log = options.log;
    this.#pidsFile = options.pidsPath === undefined ? null : new PidsFile(options.pidsPath);
    this.#watches = new WatchSet((path) => this.#changed(path), this.#log);
  }

  start(): void {
    void this.#look();
  }

  refresh(reason: string): void {
    this.#log.debug({ reason }, 'a fresh look at the revision was asked for');
    this.#doubted = true;
    this.#changed(reason);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#settle);
    clearTimeout(this.#poll);
    this.#watches.close();
  }

  /** The first change of several sets the moment, so that steady writing can't put it off for ever. */
  #changed(reason: string): void {
    if (this.#stopped || this.#settle) return;
    this.#log.trace({ reason }, 'something changed');
    this.#settle = setTimeout(() => {
      this.#settle = undefined;
      void this.#look();
    }, SETTLE_MS);
  }

  async #look(): Promise<void> {
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    clearTimeout(this.#poll);
    const started = performance.now();
    do {
      this.#again = false;
      await this.#lookOnce();
    } while (this.#again && !this.#stopped);
    this.#running = false;
    if (this.#stopped) return;
    const delay = Math.max(POLL_MS, POLL_SHARE * (performance.now() - started));
    this.#poll = setTimeout(() => void this.#look(), delay);
  }

  async #lookOnce(): Promise<void> {
    const failures = [await this.#readRevision(), await this.#readPids()];
    if (this.#stopped) return;
    this.#report(failures.find((failure) => failure !== null) ?? null);
    if (this.#revision && !this.#stopped) this.#build(this.#revision);
  }

  async #readRevision(): Promise<XConnectError | null> {
    const { statePath, pidsPath } = this.#options;
    const { fingerprint, folders } = await lookAtRevision(statePath);
    const watched = new Map(folders);
    if (pidsPath !== undefined) await addParent(pidsPath, watched);
    if (this.#stopped) return null;
    this.#watches.update(watched);
    if (fingerprint === this.#fingerprint) return null;
    const revision = await readRevision(statePath);
    if (revision.failed) {
      this.#fingerprint = ''; // look again: it may pass without a change of any file
      const [problem] = revision.problems;
      const place = printable(problem?.file || statePath);
      return new XConnectError('state-unreadable', `${place}: ${problem?.message ?? 'unreadable'}`);
    }
    this.#fingerprint = fingerprint;
    this.#revision = revision;
    return null;
  }

  async #readPids(): Promise<XConnectError | null> {
    if (!this.#pidsFile) return null;
    const pids = await this.#pidsFile.read();
    if (pids instanceof XConnectError) return pids;
    this.#pids = pids;
    const warnings = JSON.stringify(pids.warnings);
    if (warnings !== this.#warnings) {
      for (const warning of pids.warnings) this.#log.warn(warning);
      this.#warnings = warnings;
    }
    return null;
  }

  #report(failure: XConnectError | null): void {
    const code = failure?.code ?? '';
    if (code === this.#failing) return;
    this.#failing = code;
    if (failure) this.emit('failure', failure);
    else this.emit('recovered');
  }

  #build(revision: Revision): void {
    const { pids, addresses, stamp } = this.#pids;
    const newer = this.#doubted && stamp > (this.#emitted?.stamp ?? 0);
    if (this.#built?.revision === revision && this.#built.pids === this.#pids && !newer) return;
    this.#built = { revision, pids: this.#pids };
    const { hostedBus } = this.#options;
    const graph = buildGraph(revision, pids, { addresses, ...(hostedBus ? { hostedBus } : {}) });
    const problems = [...revision.problems, ...graph.problems];
    const links = JSON.stringify(graph.links);
    const problemsText = JSON.stringify(problems);
    if (problemsText !== this.#problems) {
      this.#problems = problemsText;
      this.emit('problems', problems);
    }
    if (this.#stopped || (links === this.#emitted?.links && !newer)) return;
    this.#doubted = false;
    this.#emitted = { stamp, links };
    const snapshot: GraphSnapshot = { links: graph.links, stamp };
    this.emit('graph', snapshot);
  }
}
