/**
 * Hosts the system bus of this runtime: pvx-bus is kept running where the revision has a use for it. The daemon hosts
 * its own bus with the same code, src/bus.
 */
import { BusHost } from '../bus/bus-host.js';
import { Keeper } from '../bus/keeper.js';
import { type BusPlaces, busCommand, spawnBus } from '../bus/program.js';
import type { UidRange } from '../bus/uid-book.js';
import { wantsHostedBus } from '../graph/hosted-bus.js';
import type { HostedBus } from '../graph/link-maker.js';
import { ok } from '../kernel/result.js';
import type { Revision } from '../manifest/revision.js';
import { printable } from '../manifest/text.js';
import { exitOf } from './child-process.js';
import { type Launched, Supervisor } from './supervisor.js';

const MAX_WAIT_MS = 5_000;
/** It ends dbus-daemon meanwhile, which has 1 s for that. */
const GRACE_MS = 5_000;

export class BusSupervisor extends Supervisor {
  readonly #places: BusPlaces;
  readonly #uids: UidRange;
  readonly #log;
  readonly #host: BusHost;
  #hosted: HostedBus | undefined;
  #hasBegun = false;

  /** `say`: told what happens, one line each. */
  constructor(places: BusPlaces, uids: UidRange, say: (line: string) => void) {
    super({
      launch: () => this.#launch(),
      graceMs: GRACE_MS,
      maxWaitMs: MAX_WAIT_MS,
      // What could never begin can't begin the next time either.
      mayRecover: () => this.#hasBegun,
      tellEnd: () => 'ended, and the hosted bus with it',
    });
    this.#places = places;
    this.#uids = uids;
    const tell = (fields: object | string, text?: string) => say(printable(text ?? String(fields)));
    this.#log = { info: tell, warn: tell, error: tell };
    this.#host = new BusHost({ socket: places.socket, uids, log: this.#log });
    // The Keeper says when the bus listens, and the BusHost why there is none.
    this.on('news', (text) => {
      if (this.state === 'WAITING') say(`pvx-bus ${text}`);
    });
  }

  /** Resolves soon, whether or not the bus is there by then. Never rejects. */
  async host(revision: Revision): Promise<void> {
    if (!wantsHostedBus(revision)) return;
    await this.start();
    this.#hosted = await this.#host.host(revision, (late) => {
      this.#hosted = late;
    });
  }

  /** What the graph needs to know now; undefined: the revision has no use for the bus. */
  get hosted(): HostedBus | undefined {
    return this.#hosted;
  }

  #launch(): Launched {
    const spawned = spawnBus(busCommand(this.#places, this.#uids));
    if (!spawned.ok) {
      void this.#host.giveUp(spawned.why);
      return spawned;
    }
    const { child, fd } = spawned.value;
    const exited = exitOf(child);
    const keeper = new Keeper(fd, this.#log);
    void this.#host.attach(keeper);
    const begun = keeper.kept.then((kept) => {
      if (kept.ok) this.#hasBegun = true;
    });
    return ok({
      pid: child.pid ?? 0,
      // `mayRecover` is asked then, and the record that says whether it had begun may be read after its end.
      exited: exited.then((how) => begun.then(() => how)),
      ask: () => keeper.close(),
      kill: () => child.kill('SIGKILL'),
    });
  }
}
