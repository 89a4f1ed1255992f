/** What is planted in a container, taken out of it again. */
import { setTimeout } from 'node:timers/promises';
import type { Broker } from '../broker/client.js';
import type { Logger } from '../kernel/log.js';

/** Between two attempts. */
const AGAIN_MS = 50;

/**
 * `what` is what it is called where it can't be removed. A container that is busy is asked again for as long as it
 * lives: what is planted in it must not stay. Never rejects.
 */
export async function removePlant(
  broker: Broker,
  plant: number,
  what: string,
  log: Logger,
): Promise<void> {
  let result = await broker.remove(plant);
  while (!result.ok && result.errno === 'EBUSY') {
    await setTimeout(AGAIN_MS);
    result = await broker.remove(plant);
  }
  if (result.ok || result.errno === 'ESRCH') return;
  log.warn({ errno: result.errno }, `${what} could not be removed`);
}
