/** What is planted in a container, taken out of it again. */
import type { Broker } from '../broker/client.js';
import type { Logger } from '../kernel/log.js';
import type { Attachment } from '../plugins/plugin.js';
import type { RelayLink } from '../relay/relay.js';

export interface Planted {
  readonly fd: number;
  readonly remove: () => Promise<void>;
}

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
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    result = await broker.remove(plant);
  }
  if (result.ok || result.errno === 'ESRCH') return;
  log.warn({ errno: result.errno }, `${what} could not be removed`);
}

/** What listens there, and the relay that answers: the socket goes first, then what came by it. */
export function attachment(planted: Planted, relayLink: RelayLink): Attachment {
  return {
    detach: async (drainMs) => {
      await planted.remove();
      await relayLink.close(drainMs);
    },
  };
}
