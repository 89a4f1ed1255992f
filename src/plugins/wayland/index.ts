/**
 * wayland: as unix, and the compositor is told who its clients are if it supports that (security-context-v1): app id =
 * the consumer, instance id = the link (docs/wayland.md). Clients are then joined to a listener that was given to the
 * compositor; if it does not support it, to its own socket.
 *
 * No client is joined before it is known which of the two it is, so none comes without its context.
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
