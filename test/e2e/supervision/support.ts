/**
 * What the tests of killed and replaced processes share: links of many types between two containers, each with checked
 * traffic; two builds.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { afterAll, expect } from 'vitest';
import { Builds } from '../../support/builds.js';
import { type PairOptions, usePair } from '../../support/container-pair.js';
import { request, type TestDaemon } from '../../support/daemon.js';
import type { WireLink } from '../../support/link.js';
import type { Peer } from '../../support/peer-process.js';
import { childNamed, childrenOf } from '../../support/processes.js';
import { eventually } from '../../support/wait.js';
import { UnixPair } from '../unix/support.js';

const TRAFFIC = readFileSync(new URL('./traffic.py', import.meta.url), 'utf8');
const PEER = readFileSync(new URL('../unix/peer.py', import.meta.url), 'utf8');

/** How it is linked, and what traffic.py and, where it answers, peer.py are told. */
export interface Kind {
  readonly link: Partial<WireLink>;
  readonly type: string;
  readonly served?: string;
  /** A connection ends with the daemon, which reads it. */
  readonly isRead?: boolean;
}

/** What is relayed, by the name of its link. */
export const RELAYED = {
  stream: { link: {}, type: 'stream', served: 'stream' },
  bytes: { link: { fds: false }, type: 'bytes', served: 'stream' },
  seqpacket: { link: { mode: 'seqpacket' }, type: 'seqpacket', served: 'seqpacket' },
  dgram: { link: { mode: 'dgram' }, type: 'dgram', served: 'dgram' },
  tcp: {
    link: { type: 'tcp', interface: 'tcp', transport: 'unix', target: '127.0.0.1:4001' },
    type: 'tcp',
    served: 'stream',
  },
} satisfies Record<string, Kind>;

/** As traffic.py says it. */
export interface Summary {
  readonly faults: readonly string[];
  /** On connections that are kept, and connections that came, were answered, and went. */
  readonly rounds: { readonly kept: number; readonly new: number };
  /** How often a connection ended that may. */
  readonly ended: { readonly kept: number; readonly new: number };
  /** Milliseconds that a new connection waited for its answer, at the longest. */
  readonly longest: number;
}

export class Traffic {
  readonly name: string;
  readonly #peer: Peer;

  constructor(name: string, peer: Peer) {
    this.name = name;
    this.#peer = peer;
  }

  /** Waits until both of its clients have come further. */
  async goesOn(): Promise<void> {
    const { rounds: before } = await this.#look();
    await eventually(async () => {
      const { rounds, faults } = await this.#look();
      expect(faults, this.name).toEqual([]);
      expect(rounds.kept, this.name).toBeGreaterThan(before.kept);
      expect(rounds.new, this.name).toBeGreaterThan(before.new);
    });
  }

  async #look(): Promise<Pick<Summary, 'rounds' | 'faults'>> {
    this.#peer.say('rounds\n');
    return JSON.parse(await this.#peer.line());
  }

  async end(): Promise<Summary> {
    this.#peer.say('stop\n');
    return JSON.parse(await this.#peer.line());
  }
}

/** Ends all of it; expects that none has a fault. */
export async function ended(traffic: readonly Traffic[]): Promise<Summary[]> {
  const summaries = await Promise.all(traffic.map((one) => one.end()));
  const faults = summaries.flatMap((one, i) => one.faults.map((f) => `${traffic[i]?.name}: ${f}`));
  expect(faults).toEqual([]);
  return summaries;
}

export class SupervisedPair extends UnixPair {
  constructor(args: readonly string[], options: PairOptions = {}) {
    super(['--patience', '10', ...args], { containers: { net: true }, ...options });
  }

  /** By the name of its link. */
  readonly kinds: Record<string, Kind> = RELAYED;

  /** One link of each kind, established, with a provider that answers. */
  async establishAll(): Promise<WireLink[]> {
    const links: WireLink[] = [];
    for (const [name, { link, served }] of Object.entries(this.kinds)) {
      const socket = `/run/example/${name}.sock`;
      const target = `/run/pv/services/${name}.sock`;
      const made = this.link({ name, socket, target, ...link });
      links.push(made);
      if (served) await this.serveAt(made.socket, served);
    }
    this.daemon.set(...links);
    await this.established(links);
    return links;
  }

  /** Waits until these are the links of the daemon, all of them established. */
  async established(links: readonly WireLink[]): Promise<void> {
    await this.daemon.until(Object.fromEntries(links.map(({ name }) => [name, 'established'])));
  }

  /** A provider there that sends back what it gets. */
  async serveAt(socket: string, type = 'stream'): Promise<void> {
    await this.talk(this.provider, ['python3', '-c', PEER, 'serve-echo', socket, type]).line();
  }

  /** Traffic through each of them. `mayEnd`: connections of any kind, not only those that the daemon reads. */
  startTraffic(links: readonly WireLink[], mayEnd = false, pauseS = 0): Promise<Traffic[]> {
    return Promise.all(
      links.map(async ({ name, target }) => {
        const { type, isRead } = this.kinds[name] as Kind;
        const argv = [
          'python3',
          '-c',
          TRAFFIC,
          type,
          target,
          ...(mayEnd || isRead ? ['may-end'] : []),
        ];
        const peer = this.talk(this.consumer, ['env', `PAUSE_S=${pauseS}`, ...argv]);
        expect(await peer.line()).toBe('ready');
        return new Traffic(name, peer);
      }),
    );
  }

  /**
   * Connections that each link has had that the relay serves, in the order of the graph; expects that none has fewer
   * than `before`. Those that the daemon reads it counts itself, and anew.
   */
  async totals(before?: readonly number[]): Promise<number[]> {
    const served = (await this.daemon.shown()).filter(({ name }) => !this.kinds[name]?.isRead);
    const totals = served.map(({ connections }) => connections.total);
    for (const [index, total] of before ? totals.entries() : []) {
      expect(total, served[index]?.name).toBeGreaterThanOrEqual(before?.[index] as number);
    }
    return totals;
  }

  child(program: Program): number {
    return childNamed(this.daemon.pid, program);
  }

  /** Kills it, and waits for its successor, which has these links established. */
  kill(program: 'node' | 'pvx-relay', links: readonly WireLink[]): Promise<void> {
    return killChild(
      this.daemon,
      program,
      links.map(({ name }) => name),
    );
  }

  /** Identity of what is planted at each path that there is. */
  async planted(links: readonly WireLink[]): Promise<string> {
    const paths = links.map(({ target }) => target).filter((target) => target.startsWith('/'));
    return (await this.consumer.exec(['stat', '-c', '%n %i %w', ...paths])).stdout;
  }
}

/** By the name of its program. `node`: the daemon. */
export type Program = 'node' | 'pvx-broker' | 'pvx-relay';

async function killChild(
  daemon: TestDaemon,
  program: Program,
  links: readonly string[],
): Promise<void> {
  const before = await eventually(() => {
    const pid = childNamed(daemon.pid, program);
    expect(pid).toBeGreaterThan(0);
    return pid;
  });
  const asked = childNamed(daemon.pid, 'node');
  process.kill(before, 'SIGKILL');
  await eventually(() => {
    expect(childNamed(daemon.pid, program)).toBeGreaterThan(0);
    expect(childNamed(daemon.pid, program)).not.toBe(before);
    expect(childNamed(daemon.pid, 'node')).toBeGreaterThan(0);
    expect(childNamed(daemon.pid, 'node')).not.toBe(asked); // it ends with its relay, and says what it knew until then
  });
  await daemon.until(Object.fromEntries(links.map((name) => [name, 'established'])));
}

/** Kills the daemon, and waits for its successor, which has these links established. */
export function killDaemon(daemon: TestDaemon, links: readonly string[]): Promise<void> {
  return killChild(daemon, 'node', links);
}

/** Of a process; empty: it has ended. */
export function programOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}

export function useSupervisedPair(...args: string[]): SupervisedPair {
  return usePair(new SupervisedPair(args));
}

export const versionOf = async ({ control }: TestDaemon) =>
  (await request(control, '/version')) as { version: string; incarnation: number };

/** Two versions of the package, of which the first is installed, until the last test. `spoil`: see Builds. */
export function useBuilds(spoil?: (folder: string) => void): Builds {
  const builds = new Builds();
  for (const version of ['0.1.0', '0.1.1']) builds.add(version, spoil);
  builds.install('0.1.0');
  afterAll(() => builds.remove());
  return builds;
}

/** Upgrades to the other one of the two. */
export async function upgrade(builds: Builds, to: TestDaemon): Promise<void> {
  const { version } = await versionOf(to);
  const next = version === '0.1.0' ? '0.1.1' : '0.1.0';
  expect(await builds.upgrade(next, to.control)).toEqual({
    ...{ code: 0, stderr: '' },
    stdout: `upgraded from ${version} to ${next}\n`,
  });
  expect(readlinkSync(`/proc/${to.pid}/exe`)).toContain(`/${next}/`);
}

/** Waits until nothing of the versions before is left. */
export const alone = ({ pid }: TestDaemon, timeoutMs = 40_000) =>
  eventually(() => expect(childrenOf(pid)).toHaveLength(3), { timeoutMs });

/** Waits until the daemons of the versions before have left. */
export const leftAlone = ({ pid }: TestDaemon) =>
  eventually(
    () => expect(childrenOf(pid).filter((child) => programOf(child) === 'node')).toHaveLength(1),
    {
      timeoutMs: 80_000,
    },
  );

/** Numbers below 1 that are the same in each run: a linear congruential generator. */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
