/**
 * unix: a socket at the target whose connections are joined to the provider's socket, bytes and descriptors
 * unchanged, in `mode` stream, seqpacket or dgram. All of it happens in the relay.
 */
import { XConnectError } from '../../kernel/errors.js';
import type { Plugin } from '../plugin.js';

export const unix: Plugin = {
  types: ['unix'],

  async attach(link, host) {
    if (link.transport !== undefined && link.transport !== 'unix') {
      throw new XConnectError(
        'type-unsupported',
        `${link.provider} serves ${link.name} over ${link.transport}, a unix socket was expected.`,
      );
    }
    return host.forward({ type: link.mode ?? 'stream', fds: link.fds ?? true });
  },
};
