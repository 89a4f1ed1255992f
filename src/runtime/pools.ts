/**
 * The network pools made real: a bridge with the gateway's address for each one that a container uses, and NAT
 * where it is asked for. Made when the first container needs it; tried again when the next one does if it failed.
 *
 * A shell keeps what was made and takes it away at the end of its input: when it is told to, or when this process
 * is gone however it ended. The cables (veth) are made by the containers themselves (init-script.ts) and go with
 * their networks.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import {
  formatIp,
  formatNetwork,
  type Lease,
  overlap,
  type Pool,
  parseIpv4Network,
} from './address-plan.js';

/** `sh -c KEEPER keeper BRIDGE GATEWAY/BITS SUBNET NAT`. Writes a line once all is there. */
const KEEPER = `
set -eu
bridge=$1 gateway=$2 subnet=$3 nat=$4
forwarding=$(cat /proc/sys/net/ipv4/ip_forward)
made=
undo() {
  trap '' HUP INT TERM
  [ -z "$nat" ] || nft delete table ip "pv-$bridge" 2>/dev/null || :
  [ "$forwarding" = 1 ] || echo "$forwarding" >/proc/sys/net/ipv4/ip_forward || :
  [ -z "$made" ] || ip link del "$bridge"
}
ip link add name "$bridge" type bridge
made=yes
trap undo EXIT
trap exit HUP INT TERM
ip addr add "$gateway" dev "$bridge"
ip link set "$bridge" up
if [ -n "$nat" ]; then
  echo 1 >/proc/sys/net/ipv4/ip_forward
  nft -f - <<RULES
table ip pv-$bridge {
  chain postrouting {
    type nat hook postrouting priority srcnat
    ip saddr $subnet oifname != "$bridge" masquerade
  }
}
RULES
else
  forwarding=1 # not ours to put back
fi
echo ready
read -r _ || :
`;

export class Pools {
  readonly #leases: ReadonlyMap<string, Lease>;
  readonly #made = new Map<Pool, Promise<string | null>>();
  readonly #keepers = new Set<ChildProcess>();

  constructor(leases: ReadonlyMap<string, Lease>) {
    this.#leases = leases;
  }

  /** By container. */
  get addresses(): Map<string, string> {
    return new Map([...this.#leases].map(([name, { ip }]) => [name, ip]));
  }

  /** Its address, once the network that it is of is there; or one sentence on why that can't be. */
  async leaseOf(container: string): Promise<Lease | string | undefined> {
    const lease = this.#leases.get(container);
    if (!lease) return undefined;
    const making = this.#made.get(lease.pool) ?? this.#make(lease.pool);
    this.#made.set(lease.pool, making);
    const fault = await making;
    if (fault === null) return lease;
    if (this.#made.get(lease.pool) === making) this.#made.delete(lease.pool);
    return `the pool ${lease.pool.name} can't be made: ${fault}`;
  }

  /** Takes everything away. Containers must be gone. */
  async close(): Promise<void> {
    const keepers = [...this.#keepers];
    for (const keeper of keepers) keeper.stdin?.end();
    await Promise.all(keepers.map((keeper) => exitOf(keeper)));
  }

  async #make(pool: Pool): Promise<string | null> {
    const taken = takenBy(pool);
    if (taken) return taken;
    const { bridge, gateway, network, bits, nat } = pool;
    const subnet = formatNetwork(network, bits);
    const argv = [bridge, formatNetwork(gateway, bits), subnet, nat ? 'nat' : ''];
    const keeper = spawn('sh', ['-c', KEEPER, 'keeper', ...argv], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true, // Ctrl-C in a terminal is not for it
    });
    this.#keepers.add(keeper);
    keeper.stdin.on('error', () => undefined);
    let complaint = '';
    keeper.stderr.on('data', (chunk: Buffer) => {
      complaint = `${complaint}${chunk}`.slice(0, 1024);
    });
    const exited = exitOf(keeper).then(() => {
      this.#keepers.delete(keeper);
      this.#made.delete(pool); // whoever ended it
    });
    const isReady = once(keeper.stdout, 'data').then(() => true);
    if (await Promise.race([isReady, exited.then(() => false)])) return null;
    return complaint.trim().split('\n')[0]?.replace(/\.$/, '') || 'sh, ip or nft is missing';
  }
}

/** The bridge is there, or an address of the host is in the pool's network, or has it in its own. */
function takenBy({ bridge, network, bits }: Pool): string | null {
  if (existsSync(`/sys/class/net/${bridge}`)) {
    return `its bridge ${bridge} is on this host already, and not of this runtime`;
  }
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    for (const { cidr } of addresses) {
      const other = cidr === null ? null : parseIpv4Network(cidr);
      if (!other || !overlap({ network, bits }, other)) continue;
      return `its subnet ${formatIp(network)}/${bits} meets ${cidr} of ${name} on this host`;
    }
  }
  return null;
}

async function exitOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await once(child, 'exit').catch(() => undefined);
}
