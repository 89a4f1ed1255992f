/**
 * Builds the graph from a revision and a pids file (see pids-file.ts), and again when either changes.
 *
 * Changes are seen by watching the folders, so a new pid is in the graph within tens of milliseconds however
 * large the revision, and by a look from time to time, for file systems that tell nobody. A revision or pids file
 * that can't be read leaves the last good one in place; so does, for a while, a manifest that is JSON no more, as it
 * may be in the middle of being written.
 */
import { XConnectError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import type { Vocabulary } from '../manifest/entries.js';
import { readRevision } from '../manifest/reader.js';
import type { Revision } from '../manifest/revision.js';
import { printable } from '../manifest/text.js';
import type { HostedBus } from './builder.js';
import { Looker } from './looker.js';
import { type Pids, PidsFile } from './pids-file.js';
import { addParent, lookAtRevision, type WatchedFolder } from './revision-look.js';
import { type HostBus, RevisionSource } from './revision-source.js';
import { WatchSet } from './watch-set.js';

export interface StateSourceOptions {
  /** Any shape that `readRevision` takes. */
  readonly statePath: string;
  /** What the manifests may say. Absent: what the built-in plugins take. */
  readonly vocabulary?: Vocabulary;
  /** Absent: no container runs. */
  readonly pidsPath?: string;
  readonly hostBus?: HostBus;
  readonly log: Logger;
}

interface Wanted {
  readonly revision: Revision;
  readonly hostedBus: HostedBus | undefined;
}

/** For a writer to finish a file, in milliseconds. */
const WRITING_MS = 3000;

const NO_PIDS: Pids = {
  ...{ pids: new Map(), addresses: new Map(), ends: new Map() },
  ...{ stamp: 0, warnings: [] },
};

/** One of the two inputs: how it is looked at, what it last said, and why it can't be read now. */
interface Input<T> {
  readonly looker: Looker;
  readonly watches: WatchSet;
  value: T | null;
  failure: XConnectError | null;
}

export class StateSource extends RevisionSource {
  readonly #options: StateSourceOptions;
  readonly #log: Logger;
  readonly #revision: Input<Wanted>;
  readonly #pids: Input<Pids>;
  #fingerprint = '';
  /** Since when files that were JSON are not; performance.now(). */
  #brokenSince: number | null = null;
  #warnings = '[]';
  /** What the last graph was built from. */
  #built: { readonly wanted: Wanted; readonly pids: Pids } | null = null;

  constructor(options: StateSourceOptions) {
    super();
    this.#options = options;
    this.#log = options.log;
    const { pidsPath } = options;
    const file = pidsPath === undefined ? null : new PidsFile(pidsPath);
    this.#revision = this.#input((input) => this.#lookAtRevision(input));
    this.#pids = this.#input(async (input) => {
      if (file && pidsPath !== undefined) await this.#lookAtPids(input, file, pidsPath);
    });
    if (!file) this.#pids.value = NO_PIDS;
  }

  start(): void {
    this.#pids.looker.start();
    this.#revision.looker.start();
  }

  refresh(reason: string): void {
    this.#log.debug({ reason }, 'a fresh look at the revision was asked for');
    this.doubtProcesses();
    this.#pids.looker.soon();
    this.#revision.looker.soon();
  }

  doubt(reason: string): void {
    this.refresh(reason);
  }

  stop(): void {
    this.isStopped = true;
    for (const { looker, watches } of [this.#pids, this.#revision]) {
      looker.stop();
      watches.close();
    }
  }

  #input<T>(look: (input: Input<T>) => Promise<void>): Input<T> {
    const input: Input<T> = {
      looker: new Looker(async () => {
        await look(input);
        if (this.isStopped) return;
        this.#update();
        if ([this.#revision, this.#pids].every(isKnown)) this.emit('looked');
      }),
      watches: new WatchSet(() => input.looker.soon(), this.#log),
      value: null,
      failure: null,
    };
    return input;
  }

  async #lookAtRevision(input: Input<Wanted>): Promise<void> {
    const { statePath, vocabulary } = this.#options;
    const { fingerprint, folders } = await lookAtRevision(statePath);
    if (this.isStopped) return;
    input.watches.update(folders);
    if (fingerprint === this.#fingerprint) return;
    const revision = await readRevision(statePath, vocabulary);
    if (revision.failed) {
      this.#fingerprint = ''; // look again: it may pass without a change of any file
      const [problem] = revision.problems;
      const place = printable(problem?.file || statePath);
      const message = `${place}: ${printable(problem?.message ?? 'it can not be read.')}`;
      input.failure = new XConnectError('state-unreadable', message);
      return;
    }
    if (this.#mayBeUnfinished(revision)) {
      this.#fingerprint = '';
      return;
    }
    const hostedBus = await this.#options.hostBus?.(revision, (late) => {
      if (this.isStopped || input.value?.revision !== revision) return;
      input.value = { revision, hostedBus: late };
      this.#update();
    });
    if (this.isStopped) return;
    this.#fingerprint = fingerprint;
    input.value = { revision, hostedBus };
    input.failure = null;
  }

  #mayBeUnfinished(revision: Revision): boolean {
    const last = this.#revision.value?.revision;
    const known = last && brokenFiles(last);
    const isNews = known && brokenFiles(revision).some((file) => !known.includes(file));
    const now = performance.now();
    const since = this.#brokenSince ?? now;
    const waits = isNews === true && now - since < WRITING_MS;
    this.#brokenSince = waits ? since : null; // the next file has its own time
    return waits;
  }

  async #lookAtPids(input: Input<Pids>, file: PidsFile, path: string): Promise<void> {
    const folders = new Map<string, WatchedFolder>();
    await addParent(path, folders);
    if (this.isStopped) return;
    input.watches.update(folders);
    const pids = await file.read();
    if (pids instanceof XConnectError) {
      input.failure = pids;
      return;
    }
    input.value = pids;
    input.failure = null;
    const warnings = JSON.stringify(pids.warnings);
    if (warnings === this.#warnings) return;
    this.#warnings = warnings;
    for (const warning of pids.warnings) this.#log.warn(warning);
  }

  /** After each look: what is new of it. */
  #update(): void {
    this.report(this.#revision.failure ?? this.#pids.failure);
    const wanted = this.#revision.value;
    const pids = this.#pids.value;
    if (!wanted || !pids || this.isStopped) return;
    const isBuilt = this.#built?.wanted === wanted && this.#built.pids === pids;
    if (isBuilt && !this.isNewer(pids.stamp)) return;
    this.#built = { wanted, pids };
    const { warnings, ...processes } = pids;
    this.build(wanted.revision, processes, wanted.hostedBus);
  }
}

/** It was looked at, and is not just being written. */
function isKnown({ value, failure }: Input<unknown>): boolean {
  return value !== null || failure !== null;
}

function brokenFiles({ problems }: Revision): string[] {
  return problems.flatMap(({ code, file }) => (code === 'json-invalid' ? [file] : []));
}
