/** From an accepted descriptor to a connection in a plugin's hands, and how many of those a link may have. */
import type { Link } from '../graph/link.js';
import type { Logger } from '../kernel/log.js';
import type { LinkStats } from '../mesh/attacher.js';
import { type Channel, countClose, type Tally } from '../plugins/plugin.js';
import { closeSocket } from '../relay/closing.js';
import type { RelayLinkEvents } from '../relay/relay-link.js';
import type { ChannelSet } from './channel-set.js';
import type { LinkHostOptions } from './link-options.js';

/** Connections of one link at once. */
export function mostOf(
  { maxConnections }: Link,
  { maxConnections: most }: Pick<LinkHostOptions, 'maxConnections'>,
): number {
  return Math.min(most, maxConnections ?? most);
}

/** Says of each connection that comes whether it is one too many, and counts those. */
export function crowded(
  most: number,
  stats: () => Pick<LinkStats, 'active'>,
  tally: Pick<Tally, 'closes'>,
): () => boolean {
  return () => {
    if (stats().active < most) return false;
    countClose(tally, 'too-many');
    return true;
  };
}

/** Every accepted client becomes a channel of that set, if there is room; a bug about one of them ends that one. */
export function acceptEach(
  channels: ChannelSet,
  onConnection: (client: Channel) => void | Promise<void>,
  log: Logger,
  isFull: () => boolean = () => false,
): RelayLinkEvents {
  return {
    onHanded: async (fd) => {
      if (isFull()) {
        closeSocket(fd);
        return;
      }
      const client = channels.open(fd);
      try {
        await onConnection(client);
      } catch (thrown) {
        log.error({ err: thrown }, 'a bug in the plugin ended one connection');
        client.close();
      }
    },
  };
}
