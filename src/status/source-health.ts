/**
 * Whether the graph can be read, and how often that failed: the last good one stands meanwhile, so nothing else
 * shows the failure.
 */
import type { EventEmitter } from 'eventemitter3';
import type { GraphSourceEvents } from '../graph/source.js';
import type { ErrorCode, LinkError } from '../kernel/errors.js';

export interface SourceFailure extends LinkError {
  /** ISO 8601, UTC. */
  readonly at: string;
}

export class SourceHealth {
  #failing = false;
  #last: SourceFailure | null = null;
  readonly #counts = new Map<ErrorCode, number>();

  constructor(source: EventEmitter<GraphSourceEvents>) {
    source.on('failure', (error) => {
      this.#failing = true;
      this.#last = { ...error.toLinkError(), at: new Date().toISOString() };
      this.#counts.set(error.code, (this.#counts.get(error.code) ?? 0) + 1);
    });
    source.on('recovered', () => {
      this.#failing = false;
    });
  }

  get failing(): boolean {
    return this.#failing;
  }

  /** The last failure, also when it is over. */
  get last(): SourceFailure | null {
    return this.#last;
  }

  /** Runs of failures by code: a source says each run once. */
  get counts(): ReadonlyMap<ErrorCode, number> {
    return this.#counts;
  }
}
