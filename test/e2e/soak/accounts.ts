/** What a soak has come to: the traffic that was checked, and what is held of the machine. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { AppEngineProcess } from '../../integration/runtime/appengine-process.js';
import { openFiles } from '../../support/open-files.js';
import { childrenOf, descendantsOf, statusOf } from '../../support/processes.js';
import { eventually } from '../../support/wait.js';
import type { Summary } from '../supervision/support.js';
import { BRIDGE, PORT_PREFIX } from './town.js';

export interface Account extends Summary {
  readonly bytes: number;
}

/** By the name of the service, and all together. */
export interface Accounts {
  readonly all: Account;
  readonly services: Readonly<Record<string, Account>>;
}

interface Line extends Account {
  readonly link: string;
  readonly life: string;
}

/** From the logs of all containers in all revisions. */
export function accountsOf({ folder }: AppEngineProcess): Accounts {
  const lives = new Map<string, Line>();
  for (const line of consoleLines(join(folder, 'logs'))) {
    if (!line.startsWith('{"link"')) continue;
    try {
      const read = JSON.parse(line) as Line;
      lives.set(read.life, read); // each counts from the beginning of its life
    } catch {
      // Its container was killed in the middle of the line.
    }
  }
  const all = [...lives.values()];
  const services = [...new Set(all.map(({ link }) => link))].sort();
  return {
    all: sumOf(all),
    services: Object.fromEntries(
      services.map((service) => [service, sumOf(all.filter(({ link }) => link === service))]),
    ),
  };
}

function sumOf(lines: readonly Line[]): Account {
  const sum = (of: (line: Line) => number) => lines.reduce((total, line) => total + of(line), 0);
  return {
    faults: lines.flatMap(({ faults, life }) => faults.map((fault) => `${life}: ${fault}`)),
    rounds: { kept: sum(({ rounds }) => rounds.kept), new: sum(({ rounds }) => rounds.new) },
    ended: { kept: sum(({ ended }) => ended.kept), new: sum(({ ended }) => ended.new) },
    bytes: sum(({ bytes }) => bytes),
    longest: Math.max(0, ...lines.map(({ longest }) => longest)),
  };
}

function consoleLines(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.startsWith('console.log'))
    .flatMap((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8').split('\n'));
}

export interface Held {
  /** What has to be the same at the end: descriptors, processes, mounts, nodes, addresses and so on. */
  readonly counts: Readonly<Record<string, string>>;
  /** Resident memory by process, in KiB. */
  readonly memory: Readonly<Record<string, number>>;
}

const PROGRAMS = ['pv-xconnect', 'pvx-broker', 'pvx-relay', 'node', 'pvx-bus'];
const MEMORY_KIB = 64 * 1024;

/**
 * What is held while all containers run and are quiet. `as`: what it has to become, as connections end in their own
 * time, those of HTTP after a minute.
 */
export async function heldBy(
  runtime: AppEngineProcess,
  containers: readonly string[],
  as?: Held,
): Promise<Held> {
  let wanted = as ?? (await hold(runtime, containers));
  return eventually(
    async () => {
      const held = await hold(runtime, containers);
      const { counts, memory } = wanted;
      if (!as) wanted = held; // at the beginning: what two looks in a row find
      expect(held.counts).toEqual(counts);
      for (const [name, kib] of Object.entries(held.memory)) {
        expect(kib, `memory of ${name}`).toBeLessThan((memory[name] as number) + MEMORY_KIB);
      }
      return held;
    },
    { timeoutMs: 100_000, intervalMs: 500 },
  );
}

async function hold(runtime: AppEngineProcess, containers: readonly string[]): Promise<Held> {
  const { body: daemons } = await runtime.get('/daemons');
  const supervisor: number = daemons[0].pid;
  const processes: Record<string, number> = {
    'pv-appengine': runtime.process.pid as number,
    'pv-xconnect': supervisor,
  };
  for (const pid of descendantsOf(supervisor)) {
    const name = statusOf(pid)('Name') as string;
    if (PROGRAMS.includes(name)) processes[name] = pid;
  }
  const { body: graph } = await runtime.get('/xconnect-graph');
  const inside: Record<string, string> = {};
  for (const name of containers) {
    const link = graph.find(({ consumer }: { consumer: string }) => consumer === name);
    inside[name] = insideOf(link.consumer_pid);
  }
  return {
    counts: {
      ...Object.fromEntries(
        Object.entries(processes).map(([name, pid]) => [
          `descriptors of ${name}`,
          openedBy(name, pid),
        ]),
      ),
      processes: String(descendantsOf(runtime.process.pid as number).length),
      'children of pv-xconnect': String(childrenOf(supervisor).length),
      ...inside,
      ...linesOf(runtime),
    },
    memory: Object.fromEntries(
      Object.entries(processes).map(([name, pid]) => [
        name,
        Number.parseInt(statusOf(pid)('VmRSS') ?? '0', 10),
      ]),
    ),
  };
}

/** How many of each kind. The relay keeps a few pipes for the next bytes to be spliced. */
function openedBy(name: string, pid: number): string {
  const counts = new Map<string, number>();
  for (const { target } of openFiles(pid)) {
    if (name === 'pvx-relay' && target.startsWith('pipe:')) continue;
    const kind = target.replace(/[:/]?\[?\d+\]?/g, '');
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts]
    .map(([kind, count]) => `${count} ${kind}`)
    .sort()
    .join(', ');
}

/** Sockets, nodes, mounts and addresses in a container. */
function insideOf(pid: number): string {
  const script = `ls /run/pv/services /run/dbus /dev/dri /dev/keys /run/*.sock /run/wayland-0 2>/dev/null
    grep -c . /proc/mounts; ip -o addr | sed 's/valid_lft.*//;s/.*inet/inet/' | grep inet\\ | sort`;
  return execFileSync(
    'nsenter',
    ['-t', String(pid), '-m', '-n', '-p', '-r', '-w', '--', 'sh', '-c', script],
    {
      encoding: 'utf8',
    },
  );
}

/** On the host: mounts, loop devices, unix sockets, interfaces and rules that are the runtime's. */
function linesOf(runtime: AppEngineProcess): Record<string, string> {
  const ours = (text: string) =>
    String(text.split('\n').filter((line) => line.includes(runtime.folder)).length);
  return {
    mounts: ours(readFileSync('/proc/self/mountinfo', 'utf8')),
    loops: ours(execFileSync('losetup', ['--list', '--output', 'BACK-FILE'], { encoding: 'utf8' })),
    sockets: ours(readFileSync('/proc/net/unix', 'utf8')),
    interfaces: readdirSync('/sys/class/net')
      .filter((name) => name.startsWith(PORT_PREFIX))
      .sort()
      .join(),
    rules: execFileSync('sh', ['-c', `nft list ruleset | grep -c ${BRIDGE} || :`], {
      encoding: 'utf8',
    }),
  };
}

/** What the host has of it when it does not run. */
export function onHost(runtime: AppEngineProcess): string {
  const { interfaces, loops, mounts, rules, sockets } = linesOf(runtime);
  const isBridged = readdirSync('/sys/class/net').includes(BRIDGE);
  return JSON.stringify({ interfaces, isBridged, loops, mounts, rules, sockets });
}
