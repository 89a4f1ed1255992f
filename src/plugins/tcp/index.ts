/**
 * tcp: a listener at the target's IP:PORT, whose connections are joined to the provider's unix socket or TCP port
 * (docs/tcp.md). The relay does it all: half-close, back-pressure and resets pass through, and bulk is spliced.
 */
import type { Plugin } from '../plugin.js';

export const tcp: Plugin = {
  types: ['tcp'],
  // No descriptors can come by TCP.
  attach: (_link, host) => host.forward({ type: 'stream', fds: false }),
};
