/** Who may connect to a TCP listener, and how the provider is told of them: native/relay/tcp.c does it. */
import { type Cidr, ipBytes } from '../kernel/ip-address.js';

export interface Access {
  /** Networks that may connect, at most MAX_RULES; absent: everybody. */
  readonly allowFrom?: readonly Cidr[];
  /** The provider reads a header of the PROXY protocol first. */
  readonly proxyProtocol?: 1 | 2;
}

/** As PVX_RULES_MAX and PVX_RULE_SIZE of native/relay-protocol.h have it. */
export const MAX_RULES = 64;
export const RULE_SIZE = 18;

/** One RULE_SIZE bytes long for each: 4 or 6, the length in bits, the address. Throws a RangeError where there are more. */
export function encodeRules(networks: readonly Cidr[]): Buffer {
  if (networks.length > MAX_RULES) throw new RangeError(`More than ${MAX_RULES} networks`);
  const rules = Buffer.alloc(RULE_SIZE * networks.length);
  for (const [index, { ip, bits }] of networks.entries()) {
    const address = ipBytes(ip) ?? Buffer.alloc(4);
    const rule = rules.subarray(index * RULE_SIZE);
    rule[0] = address.length === 4 ? 4 : 6;
    rule[1] = bits;
    address.copy(rule, 2);
  }
  return rules;
}
