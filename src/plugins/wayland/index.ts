/**
 * wayland: the relay of a unix link, and the compositor told who its clients are where it wants to know
 * (security-context-v1): app id = the consumer, instance id = the link. Consumers are then joined to a listener
 * that the compositor has been handed; where it does not want to know, to its own socket.
 *
 * Which of the two it is must be known before the first client is joined: no client slips through untold.
 */
import { XConnectError } from '../../kernel/errors.js';
import type { Plugin } from '../plugin.js';
import { Compositor } from './compositor.js';

export const wayland: Plugin = {
  types: ['wayland'],

  async attach(link, host) {
    if (link.transport !== undefined && link.transport !== 'unix') {
      throw new XConnectError(
        'type-unsupported',
        `${link.provider} serves ${link.name} over ${link.transport}, a unix socket was expected.`,
      );
    }
    const compositor = new Compositor(link, host);
    host.watch(() => compositor.look());
    const through = () => compositor.socket();
    const attachment = await host.forward({ type: 'stream', through });
    return {
      detach: async (drainMs) => {
        const detached = attachment.detach(drainMs);
        await compositor.close();
        await detached;
      },
    };
  },
};
