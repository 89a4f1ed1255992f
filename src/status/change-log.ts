/**
 * The lines of the log about links: one for each change of a link's state or of the reason for it.
 *
 * A state in between, whose reason has been said or follows at once, is a line for whoever debugs only; and an unmet
 * requirement is a problem of the manifests, which is said with its place where they are read.
 */
import { changedFields } from '../graph/difference.js';
import type { Link, LinkState } from '../graph/link.js';
import type { LinkError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import type { StateEvents } from './store.js';

interface Known {
  readonly state: LinkState;
  readonly reason: string;
  /** As it was when it was established last; null: it was not yet. */
  readonly established: Link | null;
}

export class ChangeLog {
  /** Why links leave. */
  leaving = 'it is no longer in the graph';
  readonly #log: Logger;
  readonly #known = new Map<string, Known>();

  constructor(mesh: StateEvents, log: Logger) {
    this.#log = log;
    mesh.on('state', (id, link, state, error) => this.#tell(id, link, state, error));
    mesh.on('gone', (id) => {
      const hasDrained = this.#known.get(id)?.state === 'draining';
      this.#known.delete(id);
      log.info({ link: id, state: 'gone' }, hasDrained ? 'nothing is left of it' : this.leaving);
    });
  }

  #tell(id: string, link: Link, state: LinkState, error: LinkError | null): void {
    const before = this.#known.get(id);
    const changed =
      state === 'established' && before?.established ? changedFields(before.established, link) : [];
    const reason = error?.message ?? this.#reasonFor(state, changed);
    const isSame = before?.state === state && (before.reason === reason || reason === state);
    const established = state === 'established' ? link : (before?.established ?? null);
    this.#known.set(id, { state, reason, established });
    const isBetween = isSame || state === 'unmet' || (state === 'waiting' && !error);
    const level = isBetween ? 'debug' : state === 'failed' ? 'warn' : 'info';
    this.#log[level]({ link: id, state, ...(error && { code: error.code }) }, reason);
  }

  #reasonFor(state: LinkState, changed: readonly string[]): string {
    if (state === 'draining') return `${this.leaving}: its connections may finish`;
    return changed.length > 0 ? `with another ${changed.join(', ')}` : state;
  }
}
