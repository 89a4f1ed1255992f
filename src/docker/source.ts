/**
 * Builds the graph from the containers of a Docker-compatible engine, and again at each of its events.
 *
 * An event only says that something has changed: what, is asked of the engine anew, so that nothing depends on events
 * that were lost. When their stream ends, it is opened again with back-off, and everything is listed once more. While
 * the engine is away, as when it restarts and its containers live on, the last graph stands.
 *
 * An engine may tell of a change before it lists it: Docker does of a pause and its end, which it writes down in
 * between. So what is listed at an event is looked at again after the last one.
 */
import type net from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { HostedBus } from '../graph/builder.js';
import { Looker } from '../graph/looker.js';
import { addParent, type WatchedFolder } from '../graph/revision-look.js';
import { type HostBus, type Processes, RevisionSource } from '../graph/revision-source.js';
import { WatchSet } from '../graph/watch-set.js';
import { BackOff } from '../kernel/back-off.js';
import { XConnectError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import { Retry } from '../kernel/retry.js';
import { readIngressOf } from '../manifest/device.js';
import { BUILT_IN, type Vocabulary } from '../manifest/entries.js';
import { close, FileFault, openNamedFile, readAll } from '../manifest/files.js';
import { parseJson } from '../manifest/json.js';
import { MAX_MANIFEST } from '../manifest/limits.js';
import { ProblemList } from '../manifest/problem-list.js';
import type { Revision } from '../manifest/revision.js';
import { printable } from '../manifest/text.js';
import { Engine } from './engine.js';
import { assemble, type Ingress, LabelReader } from './revision.js';

export interface DockerSourceOptions {
  /** A socket connected to the engine, this source's from then on. Rejects where there is none. */
  readonly connect: () => Promise<net.Socket>;
  /** A file with `ingress` as device.json has it. */
  readonly ingressPath?: string;
  /** What labels may say. Absent: what the built-in plugins take. */
  readonly vocabulary?: Vocabulary;
  readonly hostBus?: HostBus;
  /** For an answer of the engine. Absent: 10 s. */
  readonly timeoutMs?: number;
  readonly log: Logger;
}

/** An engine drops events for a reader that it finds slow. */
const POLL_MS = 30_000;
/** After an event. Docker waits for its disk there. */
const AGAIN_MS = [250, 2_000];
/** The longest wait before an engine that is away is looked for again: to connect costs next to nothing. */
const RETRY_MOST_MS = 2_000;
const NO_INGRESS: Ingress = { rules: [], problems: [] };

export class DockerSource extends RevisionSource {
  readonly #options: DockerSourceOptions;
  readonly #engine: Engine;
  readonly #looker = new Looker(() => this.#look(), POLL_MS);
  readonly #retry = new Retry(new BackOff(RETRY_MOST_MS));
  readonly #watches: WatchSet;
  readonly #vocabulary: Vocabulary;
  readonly #reader: LabelReader;
  #ingress: Ingress = NO_INGRESS;
  #again: NodeJS.Timeout[] = [];
  /** What the last graph was built from. */
  #built: { readonly revision: Revision; readonly hostedBus: HostedBus | undefined } | null = null;

  constructor(options: DockerSourceOptions) {
    super();
    this.#options = options;
    this.#vocabulary = options.vocabulary ?? BUILT_IN;
    this.#reader = new LabelReader(this.#vocabulary);
    this.#engine = new Engine(options.connect, options.timeoutMs);
    this.#watches = new WatchSet(() => this.#looker.soon(), options.log);
  }

  start(): void {
    this.#looker.start();
    void this.#follow();
  }

  refresh(reason: string): void {
    this.#options.log.debug({ reason }, 'a fresh look at the containers was asked for');
    this.doubtProcesses();
    this.#looker.soon();
  }

  doubt(reason: string): void {
    this.refresh(reason);
  }

  stop(): void {
    this.isStopped = true;
    this.#lookAgain([]);
    this.#looker.stop();
    this.#retry.cancel();
    this.#engine.stop();
    this.#watches.close();
  }

  async #follow(): Promise<void> {
    const look = () => this.#looker.soon();
    const why = await this.#engine.follow(
      () => {
        this.#retry.reset();
        look();
      },
      () => {
        look();
        this.#lookAgain(AGAIN_MS);
      },
    );
    if (this.isStopped) return;
    const ms = this.#retry.schedule(() => void this.#follow());
    this.#options.log.debug(
      { ms, reason: why.message },
      'the events of the engine are followed again',
    );
    look();
  }

  #lookAgain(after: readonly number[]): void {
    for (const timer of this.#again) clearTimeout(timer);
    this.#again = after.map((ms) => setTimeout(() => this.#looker.soon(), ms));
  }

  async #look(): Promise<void> {
    const [listing, fault] = await Promise.all([this.#engine.list(), this.#readIngress()]);
    if (this.isStopped) return;
    this.report(listing instanceof XConnectError ? listing : fault);
    if (!(listing instanceof XConnectError)) {
      const { revision, processes } = assemble(listing.containers, this.#ingress, this.#reader);
      await this.#show(revision, { ...processes, stamp: listing.stamp });
    }
    this.emit('looked');
  }

  async #show(revision: Revision, processes: Processes): Promise<void> {
    const last = this.#built;
    const isKnown =
      last !== null && isDeepStrictEqual(last.revision.containers, revision.containers);
    const hostedBus = isKnown
      ? last.hostedBus
      : await this.#options.hostBus?.(revision, (late) => {
          if (this.isStopped || this.#built?.revision.containers !== revision.containers) return;
          this.#built = { revision, hostedBus: late };
          this.#looker.soon();
        });
    if (this.isStopped) return;
    // The one that the bus was told of stays.
    this.#built = isKnown ? last : { revision, hostedBus };
    this.build(revision, processes, hostedBus);
  }

  /** Why the file can't be used, and then the last that was read stands; null: it can. */
  async #readIngress(): Promise<XConnectError | null> {
    const { ingressPath: path } = this.#options;
    if (path === undefined) return null;
    const folders = new Map<string, WatchedFolder>();
    await addParent(path, folders);
    if (this.isStopped) return null;
    this.#watches.update(folders);
    const bytes = await readFile(path);
    if (bytes instanceof FileFault) return unusable(path, bytes.found, bytes.expected);
    const problems = new ProblemList();
    const value = parseJson(bytes, path, problems);
    if (value === undefined) {
      const [problem] = problems.list();
      return unusable(path, problem?.found ?? 'no JSON', problem?.expected ?? 'JSON');
    }
    const rules = readIngressOf(value, path, this.#vocabulary, problems);
    this.#ingress = { rules, problems: problems.list() };
    return null;
  }
}

async function readFile(path: string): Promise<Buffer | FileFault> {
  const handle = await openNamedFile(path);
  if (handle instanceof FileFault) return handle;
  try {
    return await readAll(handle, MAX_MANIFEST);
  } finally {
    await close(handle);
  }
}

function unusable(path: string, found: string, expected: string): XConnectError {
  const message = `The ingress file ${printable(path)} can't be used: found ${found}, expected ${expected}.`;
  return new XConnectError('state-unreadable', message);
}
