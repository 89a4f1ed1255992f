/**
 * The hosted system bus of this runtime: begun where the revision has a use for it, and begun again when its program
 * ends, at once the first time and ever more slowly. The same code as the daemon's own, see src/bus.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { BusHost } from '../bus/bus-host.js';
import { Keeper } from '../bus/keeper.js';
import { type BusPlaces, busCommand, spawnBus } from '../bus/program.js';
import type { UidRange } from '../bus/uid-book.js';
import { wantsHostedBus } from '../graph/hosted-bus.js';
import type { HostedBus } from '../graph/link-maker.js';
import type { Revision } from '../manifest/revision.js';
import { printable } from '../manifest/text.js';
import { BackOff } from './back-off.js';

const MAX_WAIT_MS = 5_000;

export class BusSupervisor {
  readonly #places: BusPlaces;
  readonly #uids: UidRange;
  readonly #log;
  readonly #host: BusHost;
  readonly #backOff = new BackOff(MAX_WAIT_MS);
  #child: ChildProcess | null = null;
  #keeper: Keeper | null = null;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  /** `say`: told what happens, one line each. */
  constructor(places: BusPlaces, uids: UidRange, say: (line: string) => void) {
    this.#places = places;
    this.#uids = uids;
    const tell = (fields: object | string, text?: string) => say(printable(text ?? String(fields)));
    this.#log = { info: tell, warn: tell, error: tell };
    this.#host = new BusHost({ socket: places.socket, uids, log: this.#log });
  }

  /** What the graph needs to know; undefined: the revision has no use for the bus. Never rejects. */
  async host(revision: Revision): Promise<HostedBus | undefined> {
    if (!wantsHostedBus(revision)) return undefined;
    await this.#launch();
    return this.#host.host(revision);
  }

  /** Resolves when nothing of it is left. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    this.#keeper?.close();
    await exited;
  }

  async #launch(): Promise<void> {
    const command = busCommand(this.#places, this.#uids);
    if (typeof command === 'string') {
      await this.#host.attach(command);
      return;
    }
    const began = performance.now();
    try {
      const { child, fd } = spawnBus(command);
      child.once('error', () => undefined);
      this.#child = child;
      this.#keeper = new Keeper(fd, this.#log, () => this.#ended(performance.now() - began));
    } catch (thrown) {
      await this.#host.attach((thrown as Error).message);
      return;
    }
    await this.#host.attach(this.#keeper);
  }

  #ended(ranMs: number): void {
    if (this.#closed) return;
    const wait = this.#backOff.next(ranMs);
    this.#log.warn(`pvx-bus ended, and the hosted bus with it; it is started again in ${wait} ms.`);
    this.#retry = setTimeout(() => void this.#launch(), wait);
  }
}
