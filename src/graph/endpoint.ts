/**
 * Where a link begins and ends: a path, or an address. What `target` and `socket` look like decides it, not the
 * type: any provider's transport may stand behind any consumer's, and a foreign graph may not say which.
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

/** sun_path holds 108 bytes, the NUL at its end among them (unix(7)): no program can name a longer one. */
const MAX_SOCKET_PATH = 107;

/** What is wrong with a target that nobody could connect to; null: they could. */
export function beyondReach(target: string): { found: string; expected: string } | null {
  const bytes = target.startsWith('/') ? Buffer.byteLength(target) : 0;
  if (bytes <= MAX_SOCKET_PATH) return null;
  const expected = `at most ${MAX_SOCKET_PATH}, which is what a program can connect to`;
  return { found: `a target of ${bytes} bytes`, expected };
}
