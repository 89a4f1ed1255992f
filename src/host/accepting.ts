/** From an accepted descriptor to a connection in a plugin's hands. */
import type { Logger } from '../kernel/log.js';
import type { Channel } from '../relay/channel.js';
import type { RelayLinkEvents } from '../relay/relay.js';
import type { ChannelSet } from './channel-set.js';

/** Every accepted client becomes a channel of that set; a bug about one of them ends that one. */
export function acceptEach(
  channels: ChannelSet,
  onConnection: (client: Channel) => void | Promise<void>,
  log: Logger,
): RelayLinkEvents {
  return {
    onHanded: async (fd) => {
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
