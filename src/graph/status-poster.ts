/**
 * Tells the runtime how its links do: `POST /xconnect-status`, where the runtime has that.
 *
 * One at a time, the newest wins. What could not be posted is posted when the runtime answers again, a few times;
 * a runtime that has no such endpoint is not asked again until it was away, as it may be another one then.
 */
import { XConnectError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import { isUnknownEndpoint, type RuntimeClient } from './runtime-client.js';

const PATH = '/xconnect-status';
/** Of one status: a runtime that breaks the connection each time won't have it. */
const MAX_TRIES = 3;

export class StatusPoster {
  readonly #client: RuntimeClient;
  readonly #log: Logger;
  /** JSON of the newest status; null before the first. */
  #latest: string | null = null;
  /** The newest has not reached the runtime. */
  #owed = false;
  #tries = 0;
  #posting = false;
  /** The runtime has no such endpoint. */
  #unwanted = false;
  #stopped = false;

  constructor(client: RuntimeClient, log: Logger) {
    this.#client = client;
    this.#log = log;
  }

  /** Never throws. */
  post(entries: readonly unknown[]): void {
    try {
      this.#latest = JSON.stringify(entries);
    } catch (thrown) {
      this.#log.error({ err: thrown }, 'the status is not JSON');
      return;
    }
    this.#owed = true;
    this.#tries = 0;
    void this.#pump();
  }

  /** The runtime gave its graph. `restarted`: it was away before that, so what it knew may be lost. */
  runtimeAnswered(restarted: boolean): void {
    if (restarted) {
      this.#unwanted = false;
      this.#tries = 0;
      this.#owed = this.#latest !== null;
    }
    void this.#pump();
  }

  /** The client's own stop ends a post that is under way. */
  stop(): void {
    this.#stopped = true;
  }

  async #pump(): Promise<void> {
    if (this.#posting) return;
    this.#posting = true;
    while (this.#owed && this.#latest !== null && !this.#unwanted && !this.#stopped) {
      this.#owed = false;
      const answer = await this.#client.ask({ method: 'POST', path: PATH, body: this.#latest });
      if (answer instanceof XConnectError) {
        this.#tries++;
        this.#owed ||= this.#tries < MAX_TRIES; // until the runtime answers again
        break;
      }
      this.#unwanted = isUnknownEndpoint(answer);
      if (answer.status >= 300) {
        this.#log.debug({ status: answer.status }, 'the runtime did not take the status');
      }
    }
    this.#posting = false;
  }
}
