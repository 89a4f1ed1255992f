/**
 * The network pools made real: a bridge with the gateway's address for each one that a container uses, NAT where it is
 * asked for, and what keeps pools apart. A pool is made when the first container needs it; where that failed, the next
 * container tries again. One that another revision declares otherwise is made anew.
 *
 * A shell (bridge.sh) keeps what was made and takes it away at the end of its input: when it is told to, or when this
 * process is gone, however it ended. The veth pairs are made by each container's engine, and go with their networks.
 */
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import { drainThenClose } from '../kernel/drain.js';
import { PACKAGE_ROOT } from '../relay/native.js';
import { formatNetwork, type Lease, overlap, type Pool, parseNetwork } from './address-plan.js';
import { type Child, exitOf, spawnChild } from './child-process.js';

const BRIDGE_SCRIPT = readFileSync(`${PACKAGE_ROOT}/src/runtime/bridge.sh`, 'utf8');

export interface PoolLimits {
  /** How long a pool may take to be made, in milliseconds. */
  readonly makeMs: number;
  /** How long it may take to be taken away, in milliseconds. */
  readonly closeMs: number;
}

const LIMITS: PoolLimits = { makeMs: 30_000, closeMs: 5_000 };

export class Pools {
  readonly #limits: PoolLimits;
  readonly #say: (line: string) => void;
  /** By bridge: what it was made from, and how that went. */
  readonly #made = new Map<
    string,
    { readonly pool: Pool; readonly fault: Promise<string | null> }
  >();
  readonly #keepers = new Map<
    Child,
    { readonly bridge: string; readonly exited: Promise<unknown> }
  >();

  /** `say`: told what a pool lacks, one line each. */
  constructor(say: (line: string) => void = () => undefined, limits = LIMITS) {
    this.#say = say;
    this.#limits = limits;
  }

  /** Resolves with null once the networks that these addresses are of are there, or with one sentence on why not. */
  async provide(leases: readonly Lease[]): Promise<string | null> {
    for (const { pool } of leases) {
      const making = this.#making(pool);
      const fault = await making.fault;
      if (fault === null) continue;
      if (this.#made.get(pool.bridge) === making) this.#made.delete(pool.bridge);
      return `the pool ${pool.name} can't be made: ${fault}`;
    }
    return null;
  }

  #making(pool: Pool) {
    const known = this.#made.get(pool.bridge);
    if (known && isDeepStrictEqual(known.pool, pool)) return known;
    const fault = known ? this.#remove(pool.bridge).then(() => this.#make(pool)) : this.#make(pool);
    const making = { pool, fault };
    this.#made.set(pool.bridge, making);
    return making;
  }

  async #remove(bridge: string): Promise<void> {
    const keepers = [...this.#keepers].filter(([, keeper]) => keeper.bridge === bridge);
    for (const [keeper] of keepers) keeper.stdin?.end();
    await Promise.all(keepers.map(([, { exited }]) => exited));
  }

  /** Takes everything away; what hangs is left behind. Containers must be gone. */
  async close(): Promise<void> {
    const leave = () => {
      for (const keeper of this.#keepers.keys()) keeper.stdin?.end();
      return Promise.all([...this.#keepers.values()].map(({ exited }) => exited));
    };
    await drainThenClose(this.#limits.closeMs, leave, () => {
      for (const keeper of this.#keepers.keys()) signalAll(keeper, 'SIGKILL');
    });
  }

  /** Null, or why it can't be made. */
  async #make(pool: Pool): Promise<string | null> {
    const taken = takenBy(pool);
    if (taken) return taken;
    const { bridge, gateway, network, bits, width, nat } = pool;
    const subnet = formatNetwork(network, bits, width);
    const argv = [bridge, formatNetwork(gateway, bits, width), subnet, nat ? 'nat' : ''];
    const made = await spawnChild('sh', ['-c', BRIDGE_SCRIPT, 'bridge.sh', ...argv], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true, // a group of its own: Ctrl-C in a terminal is not for it
    });
    if (!made.ok) return made.why;
    const keeper = made.value;
    const [input, output, errors] = keeper.stdio as unknown as [Writable, Readable, Readable];
    input.on('error', () => undefined);
    let complaint = '';
    errors.on('data', (chunk: Buffer) => {
      complaint = `${complaint}${chunk}`.slice(0, 1024);
    });
    const exited = exitOf(keeper).then(() => {
      this.#keepers.delete(keeper);
      if (this.#made.get(bridge)?.pool === pool) this.#made.delete(bridge); // whoever ended it
    });
    this.#keepers.set(keeper, { bridge, exited });
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      signalAll(keeper, 'SIGTERM'); // ends what hangs, and has the shell undo what was made
    }, this.#limits.makeMs);
    const ready = once(output, 'data').then(([said]) => String(said).trim());
    const said = await Promise.race([ready, exited.then(() => null)]);
    clearTimeout(timer);
    if (said !== null) {
      const lack = /^ready, (.*)$/.exec(said)?.[1];
      if (lack) this.#say(`The pool ${pool.name} is ${lack}: install nftables.`);
      return null;
    }
    if (isLate) return `that took more than ${this.#limits.makeMs / 1000} s`;
    return complaint.trim().split('\n')[0]?.replace(/\.$/, '') || 'ip is missing';
  }
}

/** The shell, and what it runs at the moment: a shell heeds no signal before that has ended. */
function signalAll(keeper: Child, name: NodeJS.Signals): void {
  try {
    process.kill(-keeper.pid, name);
  } catch {
    // They have ended meanwhile.
  }
}

/** The bridge is there, or an address of the host is in the pool's network, or has it in its own. */
function takenBy({ bridge, network, bits, width }: Pool): string | null {
  const isOurs = aliasOf(bridge).startsWith('pv-appengine ');
  if (!isOurs && existsSync(`/sys/class/net/${bridge}`)) {
    return `its bridge ${bridge} is on this host already, and not of this runtime`;
  }
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    if (name === bridge) continue; // left by a killed one: bridge.sh takes it away
    for (const { cidr } of addresses) {
      const other = cidr === null ? null : parseNetwork(cidr);
      if (!other || !overlap({ network, bits, width }, other)) continue;
      return `its subnet ${formatNetwork(network, bits, width)} meets ${cidr} of ${name} on this host`;
    }
  }
  return null;
}

/** Which runtime made it; empty where there is no such bridge, or nobody said. */
function aliasOf(bridge: string): string {
  try {
    return readFileSync(`/sys/class/net/${bridge}/ifalias`, 'utf8');
  } catch {
    return '';
  }
}
