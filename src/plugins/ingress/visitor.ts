/** Who connected to an address, and what its requests are made of, link by link, while the connection lasts. */
import type { Route } from '../../http1/index.js';
import type { IngressLink } from './ingress-link.js';

export interface Visitor {
  /** Its IP. */
  readonly address: string;
  /** TLS. */
  readonly secure: boolean;
  /** Made when first needed. */
  readonly routes: Map<IngressLink, Route>;
}
