/** What a link says about those who connect: who may, and how the provider is told of them. Pure. */
import type { Link } from '../graph/link.js';
import { parseCidr } from '../kernel/ip-address.js';
import type { Access } from '../relay/access.js';

/** For the relay; empty where the link says nothing. */
export function accessOf({ allowFrom, proxyProtocol }: Link): { readonly access?: Access } {
  if (allowFrom === undefined && proxyProtocol === undefined) return {};
  const networks = allowFrom?.flatMap((text) => parseCidr(text) ?? []);
  return {
    access: {
      ...(networks === undefined ? {} : { allowFrom: networks }),
      ...(proxyProtocol === undefined ? {} : { proxyProtocol }),
    },
  };
}

/**
 * What a provider that expects the PROXY protocol reads first on a connection that stands for no single client
 * (proxy-protocol.txt of HAProxy, UNKNOWN and LOCAL); null for others.
 */
export function introduction({ proxyProtocol }: Link): Buffer | null {
  if (proxyProtocol === undefined) return null;
  if (proxyProtocol === 1) return Buffer.from('PROXY UNKNOWN\r\n');
  return Buffer.from('\r\n\r\n\0\r\nQUIT\n\x20\0\0\0', 'latin1');
}
