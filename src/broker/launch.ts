/**
 * The start of the daemon: as root, start pvx-broker, give up every privilege and execute ourselves anew.
 *
 * Afterwards, no thread of this process ever had a privilege (native/addon/launch.c explains why that needs an exec).
 * The pid stays the same, as the runtime that launched us expects.
 */
import { accessSync, constants, openSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { XConnectError } from '../kernel/errors.js';
import { native, PACKAGE_ROOT } from '../relay/native.js';
import { ownUser } from './own-user.js';

export interface LaunchOptions {
  /** Path of the daemon's own control socket, made by the broker. */
  readonly control: string;
  /** Path of the runtime's control socket, connected to by the broker. */
  readonly runtime: string;
  /** Folder of the certificates that ingress may use; only the broker reads it. */
  readonly certificates: string;
  /** Sockets of hosted buses on the host: those that the broker connects to, and no others. */
  readonly buses: readonly string[];
  /** FIRST-LAST: the uids as which the broker connects to them. */
  readonly busUids: string;
  /** pvx-bus and its arguments; empty: no bus is hosted. */
  readonly busHost: readonly string[];
  /** Name or number of the user to become; absent: one that no other process has. */
  readonly user?: string | undefined;
  /** The options of the daemon; passed on as JSON. */
  readonly daemon: unknown;
}

const FDS = 'PVX_BROKER_FDS';
const CHILDREN = 'PVX_CHILDREN';
const OPTIONS = 'PVX_DAEMON_OPTIONS';
/**
 * The daemon has few megabytes of objects. A small young generation, and code that is compiled for its size, save memory
 * (the latter 4 MiB with 100 links) and cost no time that can be measured on a request or a message.
 */
const NODE_OPTIONS = [
  '--max-semi-space-size=1',
  '--optimize-for-size',
  '--disable-warning=ExperimentalWarning',
];

/** Descriptors of the channels to the programs that were started. */
export interface Channels {
  /** To the broker: the daemon's own, and the relay's. */
  readonly control: number;
  readonly relay: number;
  /** To pvx-bus; -1: there is none. */
  readonly bus: number;
}

export interface Inheritance<T> {
  readonly options: T;
  readonly channels: Channels;
  /** Pids of the programs behind the channels, which are children of ours. */
  readonly children: readonly number[];
}

/**
 * What `launch` passed on to this process, if it is the unprivileged daemon. The channels are owned by the caller. Null
 * for any other process.
 */
export function inherited<T>(): Inheritance<T> | null {
  const fds = /^(\d+),(\d+),(-?\d+)$/.exec(process.env[FDS] ?? '');
  const options = process.env[OPTIONS];
  const pids = (process.env[CHILDREN] ?? '').split(',').map(Number);
  for (const name of [FDS, OPTIONS, CHILDREN]) delete process.env[name];
  if (!fds || options === undefined) return null;
  native.seal(); // first of all: from here on what we hold can't be taken
  const [control, relay, bus] = fds.slice(1).map(Number) as [number, number, number];
  return {
    options: JSON.parse(options) as T,
    channels: { control, relay, bus },
    children: pids.filter((pid) => pid > 0),
  };
}

/** Never returns. Throws an XConnectError where this process can't be launched as it is. */
export function launch(options: LaunchOptions): never {
  if (process.geteuid?.() !== 0) {
    throw new XConnectError(
      'permission-denied',
      'pv-xconnect was started as an ordinary user, root (or root of a user namespace) was expected: ' +
        'it enters containers through pvx-broker and gives up root at once.',
    );
  }
  const broker = `${PACKAGE_ROOT}/build/Release/pvx-broker`;
  try {
    accessSync(broker, constants.X_OK);
  } catch {
    throw new XConnectError('broker-lost', `${broker} is missing: run npm ci.`);
  }
  const [uid, gid] = onlyRootIsMapped() ? [-1, -1] : userIds(options);
  const { program, main, flags, keep } = reachable(uid, gid);
  const brokerArgv = [
    broker,
    ...['--control', options.control],
    ...['--runtime', options.runtime],
    ...['--certificates', options.certificates],
    ...options.buses.flatMap((path) => ['--bus', path]),
    ...['--bus-uids', options.busUids],
  ];
  const nodeArgv = [program, ...NODE_OPTIONS, ...flags, main, ...process.argv.slice(2)];
  const environment = { ...process.env, [OPTIONS]: JSON.stringify(options.daemon) };
  const env = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return native.launch(brokerArgv, nodeArgv, env, uid, gid, keep, options.busHost);
}

/**
 * How the program and its code are named: by path if that user can reach them, otherwise (such as a checkout below
 * /root) by descriptors that are opened while we are still root.
 */
function reachable(uid: number, gid: number) {
  const main = `${PACKAGE_ROOT}/dist/main.js`;
  if (uid < 0 || (canReach(main, uid, gid) && canReach(process.execPath, uid, gid))) {
    return { program: process.execPath, main, flags: [], keep: [] };
  }
  const program = openSync(process.execPath, constants.O_RDONLY);
  const root = openSync(PACKAGE_ROOT, constants.O_RDONLY | constants.O_DIRECTORY);
  return {
    program: `/proc/self/fd/${program}`,
    main: `/proc/self/fd/${root}/dist/main.js`,
    flags: ['--preserve-symlinks', '--preserve-symlinks-main'],
    keep: [program, root],
  };
}

/** Whether that user may search every folder of the path. */
function canReach(path: string, uid: number, gid: number): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const { mode, uid: owner, gid: group } = statSync(folder);
    const bit = owner === uid ? 0o100 : group === gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/** In a user namespace with a single identity there is no other user to become. */
function onlyRootIsMapped(): boolean {
  const [inside, , length] = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/);
  return inside === '0' && length === '1';
}

function userIds({ user, busUids }: LaunchOptions): [number, number] {
  if (user === undefined) {
    const own = ownUser(busUids);
    if (own !== null) return [own, own];
    throw new XConnectError(
      'permission-denied',
      'Every user of this user namespace has somebody already: map more of them, or give one with --user.',
    );
  }
  const passwd = readFileSync('/etc/passwd', 'utf8');
  for (const line of passwd.split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (name === user || uid === user) return [Number(uid), Number(gid)];
  }
  if (/^\d+$/.test(user)) return [Number(user), Number(user)];
  if (user === 'nobody') return [65534, 65534]; // the kernel's own overflow identity
  throw new XConnectError(
    'permission-denied',
    `There is no user ${user} in /etc/passwd: give an existing one with --user.`,
  );
}
