/**
 * rest: HTTP over a unix socket at the target, to a provider that is told with every request which consumer sends it
 * (docs/rest.md). The codec is loaded with the first link: a daemon without one has no use for it.
 */
import type { Lingering } from '../../http1/lingering.js';
import type { Plugin } from '../plugin.js';

export function rest(lingering: Lingering): Plugin {
  return {
    types: ['rest'],
    async attach(link, host) {
      const { serve } = await import('./service.js');
      return serve(link, host, lingering);
    },
  };
}
