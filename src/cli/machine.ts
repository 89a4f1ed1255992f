/**
 * What `pv-xconnect doctor` knows of this machine. Everything is looked at, nothing is changed: no file is written, no
 * module loaded, nothing mounted or bound. What can't be looked at is null, or says why.
 */
import { execFile } from 'node:child_process';
import { access, constants, readFile, stat } from 'node:fs/promises';
import net from 'node:net';
import { release } from 'node:os';
import { native, PACKAGE_ROOT, type ProbedCall } from '../relay/native.js';
import { ControlClient } from './control-client.js';

/** How a part of the kernel was found that may be a module. */
export type Part = 'there' | 'module' | 'missing' | null;

/** The errno of a connection that failed; empty: it was made. */
export type Reached = string;

export interface Machine {
  readonly kernel: string;
  readonly node: string;
  readonly isRoot: boolean;
  /** 0 or an errno each; or why the addon can't be loaded. */
  readonly calls: Readonly<Record<ProbedCall, number>> | { readonly why: string };
  /** Whether the privileged program is there and may be executed. */
  readonly broker: boolean;
  /** Capabilities that this process could be given at most, one bit each. */
  readonly bounding: bigint | null;
  readonly inetDiag: Part;
  readonly nftables: Part;
  /** The most user namespaces of a user; null: this kernel has none. */
  readonly userNamespaces: number | null;
  /** The setting, and its value, by which only root may make one; null: everyone may. */
  readonly userNamespacesOnlyRoot: string | null;
  /** The first line of what a program says of its version; null: it is not installed. */
  readonly programs: Readonly<Record<Program, string | null>>;
  /** Open files: soft and hard; infinite where there is no limit. */
  readonly files: { readonly soft: number; readonly hard: number };
  readonly epollWatches: number | null;
  readonly inotifyInstances: number | null;
  readonly control: Reached;
  /** `GET /health` of the daemon, or a sentence; null where it was not reached. */
  readonly health: Health | string | null;
  readonly runtime: Reached;
  readonly engine: Reached;
  /** Milliseconds since 1970; when this program was packaged, and the present. */
  readonly packaged: number;
  readonly now: number;
}

export interface Health {
  readonly links: number;
  readonly source: {
    readonly failing: boolean;
    readonly last_failure: { readonly message: string } | null;
  };
}

export interface Places {
  /** The daemon's control socket. */
  readonly control: string;
  /** The runtime's socket, and that of a Docker-compatible engine. */
  readonly pvCtrl: string;
  readonly docker: string;
}

const PROGRAMS = {
  'dbus-daemon': ['--version'],
  'lxc-start': ['--version'],
  nft: ['--version'],
  ip: ['-V'],
  unshare: ['--version'],
} as const;
export type Program = keyof typeof PROGRAMS;

/** For a program to say its version, and for a socket to be connected to, in milliseconds. */
const PATIENCE_MS = 5_000;

export async function lookAtMachine({ control, pvCtrl, docker }: Places): Promise<Machine> {
  const symbols = await textOf('/proc/kallsyms');
  const modules = await textsOf(['modules.builtin', 'modules.dep']);
  const part = (symbol: string, module: string) => partOf(symbols, symbol, modules, module);
  const programs = await Promise.all(
    Object.entries(PROGRAMS).map(async ([name, argv]) => [name, await versionOf(name, argv)]),
  );
  const reached = await connect(control);
  return {
    kernel: release(),
    node: process.versions.node,
    isRoot: process.geteuid?.() === 0,
    calls: probed(),
    broker: await isExecutable(`${PACKAGE_ROOT}/build/Release/pvx-broker`),
    bounding: boundingSet(await textOf('/proc/self/status')),
    inetDiag: part('inet_diag_register', 'inet_diag'),
    nftables: part('nft_do_chain', 'nf_tables'),
    userNamespaces: await numberIn('/proc/sys/user/max_user_namespaces'),
    userNamespacesOnlyRoot: await onlyRoot(),
    programs: Object.fromEntries(programs),
    files: openFiles((await textOf('/proc/self/limits')) ?? ''),
    epollWatches: await numberIn('/proc/sys/fs/epoll/max_user_watches'),
    inotifyInstances: await numberIn('/proc/sys/fs/inotify/max_user_instances'),
    control: reached,
    health: reached === '' ? await health(control) : null,
    runtime: await connect(pvCtrl),
    engine: await connect(docker),
    packaged: (await stat(`${PACKAGE_ROOT}/package.json`)).mtimeMs,
    now: Date.now(),
  };
}

function probed(): Machine['calls'] {
  try {
    return native.probeCalls();
  } catch (thrown) {
    return { why: (thrown as Error).message };
  }
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return null;
  }
}

/** Files of the modules of this kernel as one text; null where there is none. */
async function textsOf(files: readonly string[]): Promise<string | null> {
  const all = await Promise.all(files.map((file) => textOf(`/lib/modules/${release()}/${file}`)));
  const found = all.filter((text) => text !== null);
  return found.length === 0 ? null : found.join('\n');
}

/** By a symbol that it has, or by the module's file, which the kernel loads when it is first used. */
function partOf(
  symbols: string | null,
  symbol: string,
  modules: string | null,
  name: string,
): Part {
  if (symbols !== null && new RegExp(`\\b${symbol}\\b`).test(symbols)) return 'there';
  if (modules !== null) return modules.includes(`/${name}.ko`) ? 'module' : 'missing';
  return null;
}

async function numberIn(path: string): Promise<number | null> {
  const text = await textOf(path);
  return text === null ? null : Number(text);
}

/** Of Debian, and of Ubuntu. */
async function onlyRoot(): Promise<string | null> {
  const folder = '/proc/sys/kernel';
  if ((await numberIn(`${folder}/unprivileged_userns_clone`)) === 0) {
    return 'kernel.unprivileged_userns_clone=0';
  }
  const isRestricted = (await numberIn(`${folder}/apparmor_restrict_unprivileged_userns`)) === 1;
  return isRestricted ? 'kernel.apparmor_restrict_unprivileged_userns=1' : null;
}

function boundingSet(status: string | null): bigint | null {
  const [, mask] = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status ?? '') ?? [];
  return mask === undefined ? null : BigInt(`0x${mask}`);
}

function openFiles(limits: string): Machine['files'] {
  const [, soft, hard] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(limits) ?? [];
  const number = (text = '') => (text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text));
  return { soft: number(soft), hard: number(hard) };
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Programs of administrators are not always in the path of an ordinary user. */
function versionOf(program: string, argv: readonly string[]): Promise<string | null> {
  const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' };
  return new Promise((resolve) => {
    execFile(program, argv, { env, timeout: PATIENCE_MS, maxBuffer: 65_536 }, (error, stdout) => {
      const isThere = error === null || (error as NodeJS.ErrnoException).code !== 'ENOENT';
      resolve(isThere ? (stdout.trim().split('\n')[0] ?? '') : null);
    });
  });
}

/** Connects and closes. */
function connect(path: string): Promise<Reached> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    const end = (reached: Reached) => {
      socket.destroy();
      resolve(reached);
    };
    socket.setTimeout(PATIENCE_MS, () => end('ETIMEDOUT'));
    socket.on('connect', () => end(''));
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

async function health(control: string): Promise<Health | string> {
  const got = await new ControlClient(control).get('/health');
  if (!got.ok) return got.error;
  const { source } = got.value as Partial<Health>;
  return source === undefined ? `${control} is not that of pv-xconnect.` : (got.value as Health);
}
