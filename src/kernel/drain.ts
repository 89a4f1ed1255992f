/**
 * How something that has connections, streams or links open comes to its end: it begins no new ones, gives those that
 * are open time to end by themselves, and closes what is left after that.
 */

/** A client that asked nothing for so long, in milliseconds, is not about to. */
const GRACE_MS = 1_000;

/**
 * How long a connection on which nothing is under way is left open, for what its client may just be sending: nothing in
 * a drain that has no time for it.
 */
export function graceIn(drainMs: number): number {
  return drainMs >= 10 * GRACE_MS ? GRACE_MS : 0;
}

/** Waits until nothing is open any more, whoever closes it. */
export class DrainBarrier {
  readonly #isDrained: () => boolean;
  #waiting: (() => void)[] = [];

  /** `isDrained`: whether nothing is open at this moment. */
  constructor(isDrained: () => boolean) {
    this.#isDrained = isDrained;
  }

  /** Resolves when nothing is open; at once where that is so already. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.check();
    });
  }

  /** To be called whenever something was closed. */
  check(): void {
    if (!this.#isDrained()) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/**
 * Begins with `leave`, and settles as that does. Where it takes longer than `drainMs` milliseconds, `close` is called,
 * which has to end what `leave` waits for.
 */
export async function drainThenClose(
  drainMs: number,
  leave: () => Promise<unknown>,
  close: () => void,
): Promise<void> {
  const timer = setTimeout(close, drainMs);
  try {
    await leave();
  } finally {
    clearTimeout(timer);
  }
}
