/** A unix link between two containers, as the code has it and as the wire has it; any field may be given another value. */
import type { Link } from '../../src/graph/link.js';

/** The ten fields that every runtime gives, and what of ours a test wants to give. */
export type WireLink = Record<string, unknown> & {
  consumer: string;
  consumer_pid: number;
  provider: string;
  provider_pid: number;
  name: string;
  target: string;
  socket: string;
};

/** What both forms call the same. */
const SERVICE = {
  name: 'raw',
  type: 'unix',
  role: 'any',
  interface: 'unix',
  target: '/run/pv/services/raw.sock',
  socket: '/run/example/raw.sock',
};

export function unixLink(fields: Partial<Link> = {}): Link {
  return {
    consumer: 'consumer',
    consumerPid: 0,
    provider: 'provider',
    providerPid: 0,
    ...SERVICE,
    ...fields,
  };
}

/** Its ten fields are in the order of the wire form. */
export function wireLink(fields: Partial<WireLink> = {}): WireLink {
  return {
    consumer: 'consumer',
    consumer_pid: 0,
    provider: 'provider',
    provider_pid: 0,
    ...SERVICE,
    ...fields,
  };
}
