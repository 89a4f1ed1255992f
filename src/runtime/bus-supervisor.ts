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
import { RestartBackOff } from '../kernel/back-off.js';
import type { Revision } from '../manifest/revision.js';
import { printable } from '../manifest/text.js';

const MAX_WAIT_MS = 5_000;

export class BusSupervisor {
  readonly #places: BusPlaces;
  readonly #uids: UidRange;
  readonly #log;
  readonly #host: BusHost;
  readonly #backOff = new RestartBackOff(MAX_WAIT_MS);
  #hosted: HostedBus | undefined;
  #child: ChildProcess | null = null;
  #keeper: Keeper | null = null;
  #retry: NodeJS.Timeout | undefined;
  #hasBegun = false;
  #closed = false;

  /** `say`: told what happens, one line each. */
  constructor(places: BusPlaces, uids: UidRange, say: (line: string) => void) {
    this.#places = places;
    this.#uids = uids;
    const tell = (fields: object | string, text?: string) => say(printable(text ?? String(fields)));
    this.#log = { info: tell, warn: tell, error: tell };
    this.#host = new BusHost({ socket: places.socket, uids, log: this.#log });
  }

  /** Resolves soon, whether or not the bus is there by then. Never rejects. */
  async host(revision: Revision): Promise<void> {
    if (!wantsHostedBus(revision)) return;
    void this.#launch();
    this.#hosted = await this.#host.host(revision, (late) => {
      this.#hosted = late;
    });
  }

  /** What the graph needs to know now; undefined: the revision has no use for the bus. */
  get hosted(): HostedBus | undefined {
    return this.#hosted;
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
    const began = performance.now();
    const keeper = this.#spawn(() => this.#ended(performance.now() - began));
    await this.#host.attach(keeper);
    const isBegun = typeof keeper !== 'string' && typeof (await keeper.kept) !== 'string';
    // What can't begin at all is no better for being tried again; what could once may again.
    if (!isBegun && this.#hasBegun) this.#ended(performance.now() - began);
    this.#hasBegun ||= isBegun;
  }

  /** Or why it can't run. */
  #spawn(onEnd: () => void): Keeper | string {
    const command = busCommand(this.#places, this.#uids);
    if (typeof command === 'string') return command;
    try {
      const { child, fd } = spawnBus(command);
      child.once('error', () => undefined);
      this.#child = child;
      this.#keeper = new Keeper(fd, this.#log, onEnd);
      return this.#keeper;
    } catch (thrown) {
      return (thrown as Error).message;
    }
  }

  #ended(ranMs: number): void {
    if (this.#closed) return;
    const wait = this.#backOff.next(ranMs);
    this.#log.warn(`pvx-bus ended, and the hosted bus with it; it is started again in ${wait} ms.`);
    this.#retry = setTimeout(() => void this.#launch(), wait);
  }
}
