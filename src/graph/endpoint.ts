/**
 * Where a link begins and ends: a path, or an address. What `target` and `socket` look like decides it, not the
 * type: any provider's transport may stand behind any consumer's (chapter 1), and a foreign graph may not say which.
 */
import type { SocketAddress } from '../kernel/ip-address.js';
import { parseAddress } from '../manifest/address.js';

/** A path inside a container, or an address in its network namespace. */
export type Endpoint = { readonly path: string } | { readonly address: SocketAddress };

/** Of a link's `target` or `socket`. What is neither is taken for a path, and fails as one. */
export function endpointOf(text: string): Endpoint {
  const address = text.startsWith('/') ? 'path' : parseAddress(text);
  if (typeof address === 'string') return { path: text };
  return { address: { ip: address.ip, port: address.port } };
}

/** What an `IP:PORT/PREFIX` has behind its port, without the slash at its end; empty: everything. */
export function prefixOf(target: string): string {
  const address = parseAddress(target);
  return typeof address === 'string' ? '' : address.prefix;
}
