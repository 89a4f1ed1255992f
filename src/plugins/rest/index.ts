/**
 * rest: HTTP over a unix socket at the target, to a provider that is told with every request who asks
 * (docs/rest.md). What does the work is loaded with the first link.
 */
import type { Plugin } from '../plugin.js';

export const rest: Plugin = {
  types: ['rest'],

  async attach(link, host) {
    const { serve } = await import('./service.js');
    return serve(link, host);
  },
};
