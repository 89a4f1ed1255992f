/** Stands with their far end: one that stays up for traffic probes, and new ones for memory and start-up probes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve, timeUntilUsable } from './load.js';
import type { Stand, Subject } from './subject.js';

/** A stand whose far end runs, and that has not been started. */
async function setUp(subject: Subject, count: number, isCold = false): Promise<Stand> {
  const folder = mkdtempSync(join(tmpdir(), 'pvx-bench-'));
  let stand: Stand | undefined;

  try {
    const make = (isCold && subject.coldStand) || subject.stand;
    stand = await make(folder, count);
    const server = await serve(stand.back, count);
    const inner = stand;
    return {
      ...inner,
      stop: async () => {
        await inner.stop();
        await server.stop();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await stand?.stop();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

export class Stands {
  readonly #standing = new Map<Subject, Promise<Stand>>();

  /** The subject's own stand with one socket: up from the first call on until `stop`. */
  standing(subject: Subject): Promise<Stand> {
    let stand = this.#standing.get(subject);
    if (!stand) {
      stand = setUp(subject, 1).then(async (up) => {
        await timeUntilUsable(up.front, 1, () => up.start());
        return up;
      });
      this.#standing.set(subject, stand);
    }
    return stand;
  }

  /** A stand that only `use` has; `use` starts it, with `isCold` from the execution of its programs on. */
  async fresh<T>(
    subject: Subject,
    count: number,
    use: (stand: Stand) => Promise<T>,
    isCold = false,
  ): Promise<T> {
    const stand = await setUp(subject, count, isCold);
    try {
      return await use(stand);
    } finally {
      await stand.stop();
    }
  }

  async stop(): Promise<void> {
    const settled = await Promise.allSettled(this.#standing.values());
    await Promise.all(settled.map((one) => one.status === 'fulfilled' && one.value.stop()));
  }
}
