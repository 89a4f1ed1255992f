/**
 * Which interface of which container gets which address of a network pool. Pure; what is wrong in a manifest becomes a
 * problem.
 *
 * An address that a container asks for is its own. The others are given in the order of the containers' names, beginning
 * with the one after the gateway's, so that the same revision has the same addresses every time. Nobody is given an
 * address that stands in the configuration of another container. The MAC address is made of the IP address where none is
 * asked for. A container that can't have one of its interfaces has none: it must not be started.
 */
import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { ipBytes, ipText, parseCidr } from '../kernel/ip-address.js';
import { DEVICE_FILE } from '../manifest/device.js';
import {
  type Place,
  type Problem,
  type ProblemCode,
  pointerTo,
  problem,
  show,
} from '../manifest/problem.js';
import type { NetworkPool } from '../manifest/revision.js';
import type { ContainerSettings, WantedInterface } from './container-settings.js';

/** A network: its first address as a number, the length of its prefix, and 32 or 128 bits of an address. */
export interface Network {
  readonly network: bigint;
  readonly bits: number;
  readonly width: 32 | 128;
}

/** A bridge of the host, with the gateway's address. */
export interface Pool extends Network {
  readonly name: string;
  readonly bridge: string;
  readonly gateway: bigint;
  /** What leaves the network has the host's own address as its source. */
  readonly nat: boolean;
}

export interface Lease {
  readonly pool: Pool;
  /** Of the interface in the container. */
  readonly name: string;
  readonly ip: string;
  readonly mac: string;
}

/** The gateway that its container has as the default route by it: the first lease of each family. */
export function defaultRouteOf(lease: Lease, all: readonly Lease[]): string | undefined {
  const { gateway, width } = lease.pool;
  const first = all.find(({ pool }) => pool.width === width);
  return first === lease ? formatIp(gateway, width) : undefined;
}

export interface AddressPlan {
  /** By container, in the order of its interfaces. One that wants an address and is not in here can have none. */
  readonly leases: ReadonlyMap<string, readonly Lease[]>;
  readonly problems: readonly Problem[];
}

/** What stands in the configuration of a container itself. */
export interface BakedNetwork {
  /** It sets up interfaces. */
  readonly hasInterfaces: boolean;
  /** IP addresses, with or without the length of a prefix. */
  readonly addresses: readonly string[];
}

export interface PlanOptions {
  /** No container can have an address; wanting one is a problem. */
  readonly rootless: boolean;
  /** By container. */
  readonly baked?: ReadonlyMap<string, BakedNetwork>;
  /** By container, what the revision before gave it: it keeps that where it still may, so that it can go on. */
  readonly held?: ReadonlyMap<string, readonly Lease[]>;
}

/** The kernel's limit is IFNAMSIZ, 16 with the NUL; the characters are those that mean nothing to a shell. */
const BRIDGE = /^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,15}$/;
/** Lengths of the prefix that a pool may have. */
const BITS = { 32: [8, 30], 128: [48, 126] } as const;

type Complain = (code: ProblemCode, place: Place, found: string, expected: string) => void;

/** `containers`: in order of their names. */
export function planAddresses(
  pools: readonly NetworkPool[],
  containers: readonly ContainerSettings[],
  { rootless, baked = new Map(), held = new Map() }: PlanOptions,
): AddressPlan {
  const problems: Problem[] = [];
  const complain: Complain = (code, place, found, expected) =>
    problems.push(problem(code, place, found, expected));
  const usable = usablePools(pools, complain);
  const books = new Map([...usable].map(([name, pool]) => [name, new AddressBook(pool)]));
  for (const [container, { addresses }] of baked) {
    for (const address of addresses) {
      for (const book of books.values()) book.reserve(address, container);
    }
  }
  const wanting = containers.filter(({ interfaces }) => interfaces.length > 0);
  const refused = new Set<string>();
  for (const { name, interfaces } of wanting) {
    const faults = interfaces.map((wish) => {
      const fault = wishFault(wish, usable, rootless, baked.get(name)?.hasInterfaces === true);
      if (fault) complain(...fault);
      return fault;
    });
    if (faults.some((fault) => fault !== null)) refused.add(name);
  }
  const able = wanting.filter(({ name }) => !refused.has(name));
  // What was asked for comes first, so that no other is given it.
  for (const { name, interfaces } of able) {
    for (const wish of interfaces) {
      const fault = books.get(wish.pool.value)?.claim(name, wish);
      if (!fault) continue;
      complain('pool-address', wish.address?.place ?? wish.pool.place, ...fault);
      refused.add(name);
    }
  }
  for (const { name, interfaces } of able) {
    for (const wish of interfaces) {
      const before = held.get(name)?.find((lease) => lease.name === wish.name);
      if (before && !refused.has(name)) books.get(wish.pool.value)?.keep(name, wish, before);
    }
  }
  const leases = new Map<string, readonly Lease[]>();
  for (const { name, interfaces } of able) {
    if (refused.has(name)) continue;
    const own = interfaces.map((wish) => books.get(wish.pool.value)?.give(name, wish));
    const missing = own.indexOf(undefined);
    if (missing < 0) {
      leases.set(name, own as Lease[]);
      continue;
    }
    const { pool } = interfaces[missing] as WantedInterface;
    const found = `the pool ${show(pool.value)}, all of whose addresses are given to others`;
    complain('pool-exhausted', pool.place, found, 'one that has a free address');
  }
  return { leases, problems };
}

type Fault = [code: ProblemCode, place: Place, found: string, expected: string];

function wishFault(
  { pool: { value, place } }: WantedInterface,
  usable: ReadonlyMap<string, Pool>,
  rootless: boolean,
  isBaked: boolean,
): Fault | null {
  const found = `the pool ${show(value)}`;
  if (rootless) return ['pool-rootless', place, found, 'none without being root'];
  if (!usable.has(value)) {
    const names = [...usable.keys()].map(show).join(', ') || 'device.json, which has no usable one';
    return ['pool-unknown', place, found, `one of ${names}`];
  }
  if (!isBaked) return null;
  return ['pool-baked', place, `${found} beside "lxc.net" in the configuration`, 'one of the two'];
}

/** Who has which address of one pool. */
class AddressBook {
  readonly #pool: Pool;
  /** Whose it is. */
  readonly #holders = new Map<bigint, string>();
  readonly #macs = new Map<string, string>();
  readonly #claimed = new Map<WantedInterface, bigint>();
  /** No address before this one, in the order in which they are given, is free. */
  #next = 0n;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Nobody is given this address, if it is of this pool. */
  reserve(text: string, container: string): void {
    const address = numberOf(text.split('/')[0] as string, this.#pool.width);
    if (address !== null && contains(this.#pool, address)) this.#holders.set(address, container);
  }

  /** Null, or what was found and expected. */
  claim(container: string, wish: WantedInterface): [string, string] | null {
    const mac = wish.mac?.toLowerCase();
    if (mac !== undefined) {
      const holder = this.#macs.get(mac);
      if (holder !== undefined) return [`${mac}, which ${holder} has`, 'a MAC address of its own'];
      if (Number.parseInt(mac.slice(0, 2), 16) % 2 === 1) {
        return [`${mac}, which is one of a group`, 'a MAC address whose first byte is even'];
      }
      this.#macs.set(mac, container);
    }
    if (wish.address === undefined) return null;
    const text = wish.address.value;
    const { width, bits, network, gateway } = this.#pool;
    const [ip = '', length] = text.split('/');
    const address = numberOf(ip, width);
    const subnet = `an address within ${formatNetwork(network, bits, width)}`;
    if (address === null || !contains(this.#pool, address)) return [show(text), subnet];
    if (length !== undefined && Number(length) !== bits) return [show(text), `it with /${bits}`];
    if (address === gateway) return [`${show(text)}, which is the gateway's`, 'another address'];
    if (address === network || (width === 32 && address === lastOf(this.#pool))) {
      return [`${show(text)}, which stands for the whole network`, subnet];
    }
    const holder = this.#holders.get(address);
    if (holder !== undefined) return [`${show(text)}, which ${holder} has`, 'one that is free'];
    this.#holders.set(address, container);
    this.#claimed.set(wish, address);
    return null;
  }

  /** Its address of before, where nothing speaks against it. */
  keep(container: string, wish: WantedInterface, { ip, pool }: Lease): void {
    if (wish.address !== undefined || !isDeepStrictEqual(pool, this.#pool)) return;
    const address = numberOf(ip, this.#pool.width);
    if (address === null || this.#holders.has(address)) return;
    this.#holders.set(address, container);
    this.#claimed.set(wish, address);
  }

  /** Undefined: there is none left. */
  give(container: string, wish: WantedInterface): Lease | undefined {
    const address = this.#claimed.get(wish) ?? this.#free();
    if (address === undefined) return undefined;
    this.#holders.set(address, container);
    const { width } = this.#pool;
    return {
      pool: this.#pool,
      name: wish.name,
      ip: formatIp(address, width),
      mac: wish.mac?.toLowerCase() ?? macOf(address, width),
    };
  }

  /** The addresses after the gateway's come first, then those before it. */
  #free(): bigint | undefined {
    const { network, gateway, bits, width } = this.#pool;
    const hosts = 2n ** BigInt(width - bits) - 2n;
    while (this.#next < hosts - 1n) {
      const address = network + ((gateway - network + this.#next) % hosts) + 1n;
      this.#next++;
      if (!this.#holders.has(address)) return address;
    }
    return undefined;
  }
}

function usablePools(declared: readonly NetworkPool[], complain: Complain): Map<string, Pool> {
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
  const network = subnet === undefined ? null : parseNetwork(subnet);
  if (type !== 'bridge') complain('type', show(type), '"bridge"');
  else if (bridge === undefined || !BRIDGE.test(bridge)) {
    complain('bridge', show(bridge), 'a name of at most 15 letters, digits, dots, dashes');
  } else if (!network || !hasRoom(network)) {
    const expected =
      'an IPv4 network from /8 to /30 such as 10.0.3.0/24, or an IPv6 one from /48 to /126';
    complain('subnet', show(subnet), expected);
  } else {
    const pool = { name, bridge, nat, ...network, gateway: network.network + 1n };
    if (gateway === undefined) return pool;
    const own = numberOf(gateway, network.width);
    if (own !== null && own > pool.network && own < lastOf(pool)) return { ...pool, gateway: own };
    complain('gateway', show(gateway), `an address within ${subnet}`);
  }
  return null;
}

function hasRoom({ bits, width }: Network): boolean {
  const [least, most] = BITS[width];
  return bits >= least && bits <= most;
}

function collide(a: Pool, b: Pool): boolean {
  return a.bridge === b.bridge || overlap(a, b);
}

/** Two networks share no address, or one of them contains the other. */
export function overlap(a: Network, b: Network): boolean {
  if (a.width !== b.width) return false;
  const bits = Math.min(a.bits, b.bits);
  return networkOf(a.network, bits, a.width) === networkOf(b.network, bits, b.width);
}

function contains(network: Network, address: bigint): boolean {
  return overlap(network, { network: address, bits: network.width, width: network.width });
}

/** `IP/LENGTH`; the bits after the prefix are ignored. Null: this is no network. */
export function parseNetwork(text: string): Network | null {
  const cidr = parseCidr(text);
  if (!cidr) return null;
  const width = isIPv6(cidr.ip) ? 128 : 32;
  const address = numberOf(cidr.ip, width);
  if (address === null) return null;
  return { network: networkOf(address, cidr.bits, width), bits: cidr.bits, width };
}

/** For people, and for programs that take one: `10.0.3.1/24`. */
export function formatNetwork(address: bigint, bits: number, width: 32 | 128): string {
  return `${formatIp(address, width)}/${bits}`;
}

/** A number as text: `10.0.3.1`, or as RFC 5952 has an IPv6 address. */
export function formatIp(address: bigint, width: 32 | 128): string {
  return ipText(width === 32 ? 4 : 6, Buffer.from(bytesOf(address, width)));
}

/** The name of the host's end of the veth pair: that of its address, which no other pool of this host has. */
export function portOf({ ip }: Lease): string {
  const bytes = ipBytes(ip) as Buffer;
  if (bytes.length === 4) return `pv${bytes.toString('hex')}`;
  return `pw${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}`;
}

/** A locally administered one: 02:00 (IPv6: 02:06) and the last four bytes of the IP address. */
function macOf(address: bigint, width: 32 | 128): string {
  const bytes = [0x02, width === 32 ? 0 : 6, ...bytesOf(address, width).slice(-4)];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function bytesOf(address: bigint, width: number): number[] {
  return Array.from({ length: width / 8 }, (_, index) =>
    Number((address >> BigInt(width - 8 * (index + 1))) & 0xffn),
  );
}

/** Null: this is no address of that family. */
function numberOf(ip: string, width: number): bigint | null {
  const bytes = ipBytes(ip);
  return bytes?.length === width / 8 ? BigInt(`0x${bytes.toString('hex')}`) : null;
}

function networkOf(address: bigint, bits: number, width: number): bigint {
  const rest = BigInt(width - bits);
  return (address >> rest) << rest;
}

/** The broadcast address of IPv4; of IPv6, the last one. */
function lastOf({ network, bits, width }: Network): bigint {
  return network + 2n ** BigInt(width - bits) - 1n;
}
