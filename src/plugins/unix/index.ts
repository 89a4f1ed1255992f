/**
 * unix: a socket at the target whose connections are joined to the provider's socket, bytes and descriptors
 * unchanged, in `mode` stream, seqpacket or dgram; or, bytes only, to a provider's TCP port. All of it happens in
 * the relay.
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
