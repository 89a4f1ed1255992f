/**
 * Where graphs come from. A source yields whole snapshots, never differences, and only when something
 * changed; one that can't read its input says so and yields nothing, so that the last good graph stands.
 */
import { EventEmitter } from 'eventemitter3';
import type { XConnectError } from '../kernel/errors.js';
import type { Problem } from '../manifest/problem.js';
import type { Revision } from '../manifest/revision.js';
import type { GraphSnapshot } from './link.js';

export interface GraphSourceEvents {
  /** A whole graph that differs from the last one emitted. */
  graph: (snapshot: GraphSnapshot) => void;
  /** The input can't be read or parsed. Said once for each run of failures with the same code. */
  failure: (error: XConnectError) => void;
  /** The input was read again after a `failure`, whether or not the graph changed meanwhile. */
  recovered: () => void;
  /** A look is over, whatever came of it; what it had to say was said before. */
  looked: () => void;
  /** What is wrong with the manifests behind the graph, whenever that changes. The state source only. */
  problems: (problems: readonly Problem[]) => void;
}

export abstract class GraphSource extends EventEmitter<GraphSourceEvents> {
  /** What the last graph was built from; null: no graph yet, or it was built elsewhere. */
  get revision(): Revision | null {
    return null;
  }

  /** Begins to watch and fetches at once. Never throws: what goes wrong is a `failure`. */
  abstract start(): void;
  /** Asks for a fresh look soon; `reason` is for the log. Calls that arrive together become one look. */
  abstract refresh(reason: string): void;
  /** The same, where nothing happened but that the graph still names a process that is gone. */
  abstract doubt(reason: string): void;
  /** Ends everything: no timer, socket or watcher is left, and nothing is emitted any more. */
  abstract stop(): void;
}
