/**
 * Places for clients that a bus does not know yet. A bus has few of them (dbus-daemon's max_incomplete_connections: 64)
 * and lets nobody in while all are taken, so those of one bus are shared out evenly among the links that lead to it:
 * none can take what another one needs. A place is held from the connection on until the bus has answered Hello.
 *
 * Whoever finds none waits, first come, first served within its link.
 */

/** Of one bus, so that some are left for the clients that its own container has. */
const OF_BUS = 48;
/** Of one link, however few there are. */
const OF_LINK = 32;

export class Places {
  readonly #total: number;
  readonly #links = new Set<LinkPlaces>();
  #taken = 0;

  constructor(total = OF_BUS) {
    this.#total = total;
  }

  get links(): number {
    return this.#links.size;
  }

  /** For one link more, until it leaves. */
  enter(): LinkPlaces {
    const link: LinkPlaces = new LinkPlaces({
      mayTake: () => this.#taken < this.#total && link.taken < this.#share,
      took: () => this.#taken++,
      freed: () => {
        this.#taken--;
        this.#serve();
      },
      left: () => {
        this.#links.delete(link);
        this.#serve();
      },
    });
    this.#links.add(link);
    return link;
  }

  get #share(): number {
    return Math.max(1, Math.min(OF_LINK, Math.floor(this.#total / this.#links.size)));
  }

  #serve(): void {
    for (const link of this.#links) link.serve();
  }
}

interface Shared {
  mayTake(): boolean;
  took(): void;
  freed(): void;
  left(): void;
}

/** Those of one link. */
export class LinkPlaces {
  taken = 0;
  readonly #shared: Shared;
  readonly #waiting: (() => void)[] = [];
  #hasLeft = false;

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  /** Resolves with a place; the function gives it back, once. */
  async take(): Promise<() => void> {
    const wait = new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.serve();
    await wait;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.taken--;
      this.#shared.freed();
    };
  }

  /** Those who wait have what there is for them. */
  serve(): void {
    while (this.#waiting.length > 0 && (this.#hasLeft || this.#shared.mayTake())) {
      this.taken++;
      this.#shared.took();
      this.#waiting.shift()?.();
    }
  }

  /** The link has ended: nobody waits any more. */
  leave(): void {
    this.#hasLeft = true;
    this.#shared.left();
    this.serve();
  }
}

const byBus = new Map<string, Places>();

/** Of the bus behind that socket of that provider, for one link more; they are given back by `leave`. */
export function placesAt(provider: string, socket: string): LinkPlaces {
  const bus = `${provider} ${socket}`;
  for (const [known, places] of byBus) if (places.links === 0) byBus.delete(known);
  const places = byBus.get(bus) ?? new Places();
  byBus.set(bus, places);
  return places.enter();
}
