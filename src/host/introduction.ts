/** Who we are to a provider that expects the PROXY protocol, where we speak for nobody in particular. */
import type { Link } from '../graph/link.js';

/**
 * What a provider that expects the PROXY protocol reads first on a connection that stands for no single client
 * (proxy-protocol.txt of HAProxy, UNKNOWN and LOCAL); null for others.
 */
export function introduction({ proxyProtocol }: Link): Buffer | null {
  if (proxyProtocol === undefined) return null;
  if (proxyProtocol === 1) return Buffer.from('PROXY UNKNOWN\r\n');
  return Buffer.from('\r\n\r\n\0\r\nQUIT\n\x20\0\0\0', 'latin1');
}
