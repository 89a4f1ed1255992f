/** A unix link between two containers; any field may be given another value. */
import type { Link } from '../../src/graph/link.js';

export function unixLink(fields: Partial<Link> = {}): Link {
  return {
    consumer: 'consumer',
    consumerPid: 0,
    provider: 'provider',
    providerPid: 0,
    name: 'raw',
    type: 'unix',
    role: 'any',
    interface: 'unix',
    target: '/run/pv/services/raw.sock',
    socket: '/run/example/raw.sock',
    ...fields,
  };
}
