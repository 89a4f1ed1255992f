/**
 * Which targets of one consumer are taken. A path is taken by one link; an address by one tcp link, or by
 * several http links that differ in host or prefix. Who comes first keeps it.
 */
import { isIPv6 } from 'node:net';
import { isWildcard, parseAddress } from '../manifest/address.js';
import { samePlace } from '../manifest/paths.js';
import type { Place } from '../manifest/problem.js';
import { isNetworked } from '../manifest/target.js';
import { type Link, linkId } from './link.js';

/** Links on one IP and port. */
interface Listener {
  readonly type: string;
  /** An address speaks TLS, or it doesn't. */
  readonly tls: boolean;
  readonly first: Place;
  readonly routes: Map<string, Place>;
}

export class Targets {
  readonly #identities = new Map<string, Place>();
  readonly #paths = new Map<string, Place>();
  /** By address family and port, as only there a wildcard meets others. */
  readonly #listeners = new Map<string, Map<string, Listener>>();

  /** Takes the link's target for it; or says where the one stands that has it already. */
  claim(link: Link, place: Place): Place | undefined {
    const id = linkId(link);
    const taken =
      this.#identities.get(id) ??
      (isNetworked(link.type) ? this.#claimAddress(link, place) : this.#claimPath(link, place));
    if (!taken) this.#identities.set(id, place);
    return taken;
  }

  #claimPath(link: Link, place: Place): Place | undefined {
    const path = samePlace(link.target);
    const taken = this.#paths.get(path);
    if (!taken) this.#paths.set(path, place);
    return taken;
  }

  #claimAddress(link: Link, place: Place): Place | undefined {
    const address = parseAddress(link.target);
    if (typeof address === 'string') return undefined; // checked before: not reached for a sound target
    const { ip, port, prefix } = address;
    const key = `${isIPv6(ip) ? 6 : 4} ${port}`;
    const listeners = this.#listeners.get(key) ?? new Map<string, Listener>();
    this.#listeners.set(key, listeners);
    const route = `${link.host ?? ''} ${prefix}`;
    const own = listeners.get(ip);
    if (own) {
      if (own.type !== 'http' || link.type !== 'http') return own.first;
      if (own.tls !== hasTls(link)) return own.first;
      const taken = own.routes.get(route);
      if (!taken) own.routes.set(route, place);
      return taken;
    }
    const other = isWildcard(ip) ? first(listeners) : listeners.get(isIPv6(ip) ? '::' : '0.0.0.0');
    if (other) return other.first;
    const tls = hasTls(link);
    listeners.set(ip, { type: link.type, tls, first: place, routes: new Map([[route, place]]) });
    return undefined;
  }
}

function hasTls({ http }: Link): boolean {
  return http?.tls !== undefined;
}

function first(listeners: ReadonlyMap<string, Listener>): Listener | undefined {
  return listeners.values().next().value;
}
