/**
 * Which container gets which address of a network pool. Pure; what is wrong in a manifest becomes a problem. As
 * Pantavisor documents it, addresses are given in the order of the containers' names, beginning with the one after the
 * gateway's, so that the same revision has the same addresses every time. The MAC address is made of the IP address.
 */
import { ipBytes, parseCidr } from '../kernel/ip-address.js';
import {
  type Place,
  type Problem,
  type ProblemCode,
  pointerTo,
  problem,
  show,
} from '../manifest/problem.js';
import type { NetworkPool } from '../manifest/revision.js';
import type { ContainerSettings } from './container-settings.js';

/** A bridge of the host, with the gateway's address. IPv4. */
export interface Pool {
  readonly name: string;
  readonly bridge: string;
  /** The network's address, as a number, and the length of its prefix in bits. */
  readonly network: number;
  readonly bits: number;
  readonly gateway: number;
  /** What leaves the network has the host's own address as its source. */
  readonly nat: boolean;
}

export interface Lease {
  readonly pool: Pool;
  readonly ip: string;
  readonly mac: string;
}

export interface AddressPlan {
  /** By container. One that wants an address and is not in here can have none, and must not be started. */
  readonly leases: ReadonlyMap<string, Lease>;
  readonly problems: readonly Problem[];
}

/** The kernel's limit is IFNAMSIZ, 16 with the NUL; the characters are those that mean nothing to a shell. */
const BRIDGE = /^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,15}$/;
const DEVICE_FILE = 'device.json';

/** `containers`: in order of their names. `rootless`: no container can have an address; wanting one is a problem. */
export function planAddresses(
  pools: readonly NetworkPool[],
  containers: readonly ContainerSettings[],
  rootless: boolean,
): AddressPlan {
  const problems: Problem[] = [];
  const complain = (code: ProblemCode, place: Place, found: string, expected: string) =>
    problems.push(problem(code, place, found, expected));
  const usable = usablePools(pools, complain);
  const leases = new Map<string, Lease>();
  const given = new Map<Pool, number>();
  for (const { name, pool: wish } of containers) {
    if (wish === undefined) continue;
    const { name: wanted, place } = wish;
    const pool = usable.get(wanted);
    const count = pool ? (given.get(pool) ?? 0) : 0;
    if (rootless) {
      complain('pool-rootless', place, `the pool ${show(wanted)}`, 'none without being root');
    } else if (!pool) {
      const names =
        [...usable.keys()].map(show).join(', ') || 'device.json, which has no usable one';
      complain('pool-unknown', place, `the pool ${show(wanted)}`, `one of ${names}`);
    } else if (count >= roomOf(pool)) {
      const found = `the pool ${show(wanted)}, whose ${count} addresses are given to others`;
      complain('pool-exhausted', place, found, 'one that has a free address');
    } else {
      given.set(pool, count + 1);
      const address = addressOf(pool, count);
      leases.set(name, { pool, ip: formatIp(address), mac: macOf(address) });
    }
  }
  return { leases, problems };
}

function usablePools(
  declared: readonly NetworkPool[],
  complain: (code: ProblemCode, place: Place, found: string, expected: string) => void,
): Map<string, Pool> {
  const usable = new Map<string, Pool>();
  for (const one of declared) {
    const base = pointerTo('/network/pools', one.name);
    const at = (key: string) => ({ file: DEVICE_FILE, pointer: pointerTo(base, key) });
    const pool = toPool(one, (key, found, expected) =>
      complain('pool-invalid', at(key), found, expected),
    );
    if (!pool) continue;
    const rival = [...usable.values()].find((other) => collide(pool, other));
    if (!rival) {
      usable.set(one.name, pool);
      continue;
    }
    const key = rival.bridge === pool.bridge ? 'bridge' : 'subnet';
    const found = `${show(one[key])}, which the pool ${show(rival.name)} has already`;
    complain('pool-collision', at(key), found, `a ${key} of its own`);
  }
  return usable;
}

function toPool(
  { name, type, bridge, subnet, gateway, nat = false }: NetworkPool,
  complain: (key: string, found: string, expected: string) => void,
): Pool | null {
  const network = subnet === undefined ? null : parseIpv4Network(subnet);
  if (type !== 'bridge') complain('type', show(type), '"bridge"');
  else if (bridge === undefined || !BRIDGE.test(bridge)) {
    complain('bridge', show(bridge), 'a name of at most 15 letters, digits, dots, dashes');
  } else if (!network || network.bits < 8 || network.bits > 30) {
    complain('subnet', show(subnet), 'an IPv4 network from /8 to /30, such as 10.0.3.0/24');
  } else {
    const pool = { name, bridge, nat, ...network, gateway: network.network + 1 };
    if (gateway === undefined) return pool;
    const own = numberOf(gateway);
    if (own !== null && own > pool.network && own < lastOf(pool)) return { ...pool, gateway: own };
    complain('gateway', show(gateway), `an address within ${subnet}`);
  }
  return null;
}

function collide(a: Pool, b: Pool): boolean {
  return a.bridge === b.bridge || overlap(a, b);
}

/** Two networks share no address, or one of them contains the other. */
export function overlap(
  a: Pick<Pool, 'network' | 'bits'>,
  b: Pick<Pool, 'network' | 'bits'>,
): boolean {
  const bits = Math.min(a.bits, b.bits);
  return networkOf(a.network, bits) === networkOf(b.network, bits);
}

/** `IP/LENGTH`; the bits after the prefix are ignored. Null: this is no IPv4 network. */
export function parseIpv4Network(text: string): Pick<Pool, 'network' | 'bits'> | null {
  const cidr = parseCidr(text);
  const address = numberOf(cidr?.ip ?? '');
  if (!cidr || address === null) return null;
  return { network: networkOf(address, cidr.bits), bits: cidr.bits };
}

/** For people, and for programs that take one: `10.0.3.1/24`. */
export function formatNetwork(address: number, bits: number): string {
  return `${formatIp(address)}/${bits}`;
}

/** A number in dotted form. */
export function formatIp(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}

/** A locally administered one: 02:00 and the four bytes of the IP address. */
function macOf(address: number): string {
  const bytes = [0x02, 0, ...[24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff)];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function numberOf(ip: string): number | null {
  const bytes = ipBytes(ip);
  return bytes?.length === 4 ? bytes.readUInt32BE() : null;
}

function networkOf(address: number, bits: number): number {
  return Math.floor(address / 2 ** (32 - bits)) * 2 ** (32 - bits);
}

/** The addresses after the gateway's come first, then those before it. */
function addressOf({ network, bits, gateway }: Pool, index: number): number {
  const hosts = 2 ** (32 - bits) - 2;
  return network + ((gateway - network + index) % hosts) + 1;
}

/** How many addresses there are without the network's, the broadcast address and the gateway's. */
function roomOf({ bits }: Pool): number {
  return 2 ** (32 - bits) - 3;
}

/** The broadcast address. */
function lastOf({ network, bits }: Pool): number {
  return network + 2 ** (32 - bits) - 1;
}
