/**
 * tcp: a listener at the target's IP:PORT whose connections are joined to the provider, a unix socket or TCP. Half
 * close, back-pressure and resets pass through; bulk is spliced. All of it happens in the relay.
 */
import type { Plugin } from '../plugin.js';

export const tcp: Plugin = {
  types: ['tcp'],
  // A client from the network has no descriptors to send.
  attach: (_link, host) => host.forward({ type: 'stream', fds: false }),
};
