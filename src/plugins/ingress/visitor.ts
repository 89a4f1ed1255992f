/** Who connected to an address, and what its requests are made of, link by link, while the connection lasts. */
import type { Route } from '../../http1/index.js';
import type { IngressLink } from './ingress-link.js';

export interface Visitor {
  /** Its IP. */
  readonly address: string;
  /** TLS. */
  readonly secure: boolean;
  /** Made when first needed. */
  readonly routes: WeakMap<IngressLink, Route>;
}

const MAPPED = /^::ffff:(?=\d+\.)/i;

/** `ip`: of its end of the connection; IPv4 as such, whatever the listener speaks. */
export function visitorFrom(ip: string, secure: boolean): Visitor {
  return { address: ip.replace(MAPPED, ''), secure, routes: new WeakMap() };
}
