/**
 * Networks that may use a link. A connection is its address's, which links share, so it is refused by the request and
 * not by the connection as elsewhere.
 */
import { BlockList, isIPv6 } from 'node:net';
import { parseCidr } from '../../kernel/ip-address.js';

const familyOf = (ip: string) => (isIPv6(ip) ? 'ipv6' : 'ipv4');

export class Clients {
  readonly #networks = new BlockList();

  /** `IP/LENGTH` or `IP`; what is neither is nobody. */
  constructor(networks: readonly string[]) {
    for (const { ip, bits } of networks.flatMap((text) => parseCidr(text) ?? [])) {
      this.#networks.addSubnet(ip, bits, familyOf(ip));
    }
  }

  has(ip: string): boolean {
    return this.#networks.check(ip, familyOf(ip));
  }
}
