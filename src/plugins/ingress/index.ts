/**
 * http: an address under which several links answer, each for its host and prefix (docs/ingress.md). What does the
 * work is loaded with the first link.
 */
import type { Plugin } from '../plugin.js';

export const ingress: Plugin = {
  types: ['http'],

  async attach(link, host) {
    const { serve } = await import('./service.js');
    return serve(link, host);
  },
};
