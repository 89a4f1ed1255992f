/**
 * http: an address at which several links are served, each for its host and prefix (docs/ingress.md). The codec is
 * loaded with the first link: a daemon without one has no use for it.
 */
import type { Lingering } from '../../http1/lingering.js';
import type { Plugin } from '../plugin.js';
import type { IngressService } from './service.js';

export function ingress(lingering: Lingering): Plugin {
  let service: Promise<IngressService> | null = null;
  return {
    types: ['http'],
    async attach(link, host) {
      service ??= import('./service.js').then((module) => new module.IngressService(lingering));
      return (await service).serve(link, host);
    },
  };
}
