/**
 * unix: a socket at the target, whose connections are joined to the provider's socket with bytes and descriptors
 * unchanged, in `mode` stream, seqpacket or dgram; or, with bytes only, to a provider's TCP port. The relay does it
 * all.
 */
import { endpointOf } from '../../graph/endpoint.js';
import type { Plugin } from '../plugin.js';

export const unix: Plugin = {
  types: ['unix'],

  async attach(link, host) {
    if ('address' in endpointOf(link.socket)) return host.forward({ type: 'stream', fds: false });
    return host.forward({ type: link.mode ?? 'stream', fds: link.fds ?? true });
  },
};
