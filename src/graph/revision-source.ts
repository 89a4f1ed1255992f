/**
 * What the sources that build the graph from manifests have in common: when what they have built is news.
 *
 * Problems are emitted when they change; a graph when its links do, or, where somebody doubts its processes, when its
 * stamp is newer; a failure once for each run of failures with the same code.
 */
import type { XConnectError } from '../kernel/errors.js';
import type { Revision } from '../manifest/revision.js';
import { buildGraph, type GraphOptions, type HostedBus } from './builder.js';
import { GraphSource } from './source.js';

/** What the graph needs to know of the hosted bus, soon, and by `onLate` what is true later. Never rejects. */
export type HostBus = (
  revision: Revision,
  onLate: (hosted: HostedBus | undefined) => void,
) => Promise<HostedBus | undefined>;

/** Which processes the containers of a revision are. */
export interface Processes extends Pick<GraphOptions, 'addresses' | 'servers' | 'ends'> {
  /** By container; one that is not in it does not run. */
  readonly pids: ReadonlyMap<string, number>;
  /** See GraphSnapshot. */
  readonly stamp: number;
  readonly engineIds?: ReadonlyMap<number, string>;
}

export abstract class RevisionSource extends GraphSource {
  protected isStopped = false;
  #isDoubted = false;
  #emitted: { readonly links: string; readonly stamp: number } | null = null;
  #problems = '[]';
  #failing = '';
  #revision: Revision | null = null;

  override get revision(): Revision | null {
    return this.#revision;
  }

  /** A graph with a newer stamp is news from now on, even with the same links. */
  protected doubtProcesses(): void {
    this.#isDoubted = true;
  }

  /** Whether a graph of this stamp is news, whatever its links are. */
  protected isNewer(stamp: number): boolean {
    return this.#isDoubted && stamp > (this.#emitted?.stamp ?? 0);
  }

  /** Why nothing could be read; null: it could. */
  protected report(failure: XConnectError | null): void {
    const code = failure?.code ?? '';
    if (code === this.#failing) return;
    this.#failing = code;
    if (failure) this.emit('failure', failure);
    else this.emit('recovered');
  }

  protected build(
    revision: Revision,
    { pids, stamp, engineIds, ...rest }: Processes,
    hostedBus: HostedBus | undefined,
  ): void {
    this.#revision = revision;
    const graph = buildGraph(revision, pids, { ...rest, ...(hostedBus ? { hostedBus } : {}) });
    const problems = [...revision.problems, ...graph.problems];
    const problemsText = JSON.stringify(problems);
    if (problemsText !== this.#problems) {
      this.#problems = problemsText;
      this.emit('problems', problems);
    }
    const links = JSON.stringify([graph.links, graph.unmet]);
    if (this.isStopped || (links === this.#emitted?.links && !this.isNewer(stamp))) return;
    this.#isDoubted = false;
    this.#emitted = { stamp, links };
    const all = [...graph.links, ...graph.unmet];
    this.emit('graph', { links: all, stamp, ...(engineIds ? { engineIds } : {}) });
  }
}
