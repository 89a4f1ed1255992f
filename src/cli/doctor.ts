/**
 * `pv-xconnect doctor`: what this machine has of what pv-xconnect uses, a line each, with what to do where something is
 * missing. What is judged is in machine.ts; the judgement is pure.
 */
import { getSystemErrorName } from 'node:util';
import { printable, printableJson } from '../manifest/text.js';
import type { ProbedCall } from '../relay/native.js';
import { lookAtMachine, type Machine, type Part, type Places, type Program } from './machine.js';
import type { Output } from './output.js';

export interface Check {
  readonly name: string;
  /** `unknown`: this user may not look at it, or it can't be seen from here. */
  readonly state: 'ok' | 'missing' | 'unknown';
  /** What is without it; null: everything. Only then is its absence a failure. */
  readonly only: string | null;
  readonly found: string;
  /** One sentence; null where there is nothing to do. */
  readonly remedy: string | null;
}

export interface DoctorOptions extends Places {
  readonly json: boolean;
}

/** Exit code: 0, or 1 if something is missing that everything needs. */
export async function doctorCommand(
  options: DoctorOptions,
  { stdout }: { readonly stdout: Output },
): Promise<number> {
  const checks = judge(await lookAtMachine(options), options);
  const isWell = !checks.some(({ state, only }) => state === 'missing' && only === null);
  stdout.write(options.json ? `${printableJson({ ok: isWell, checks })}\n` : textOf(checks));
  return isWell ? 0 : 1;
}

const MARKS = { ok: '✓', missing: '✗', unknown: '?' } as const;

function textOf(checks: readonly Check[]): string {
  const lines = checks.map(({ name, state, only, found, remedy }) => {
    const whose = state === 'missing' && only !== null ? ` (only for ${only})` : '';
    const what = remedy === null || state === 'ok' ? '' : ` ${remedy}`;
    return printable(`${MARKS[state]} ${name}${whose}: ${found}.${what}`);
  });
  const missing = checks.filter(({ state, only }) => state === 'missing' && only === null).length;
  const unseen = checks.filter(({ state }) => state === 'unknown').length;
  const end = [
    missing === 0 ? 'Nothing that is needed is missing' : `Missing and needed: ${missing}`,
    ...(unseen === 0 ? [] : [`not looked at: ${unseen}`]),
  ];
  return `${[...lines, `${end.join('; ')}.`].join('\n')}\n`;
}

export function judge(machine: Machine, places: Places): Check[] {
  return [
    ...ofPrograms(machine),
    ...ofCalls(machine),
    ...ofKernel(machine),
    ...ofLimits(machine),
    ...ofSockets(machine, places),
    ofClock(machine),
  ];
}

const isOk = (name: string, found: string): Check => {
  return { name, state: 'ok', only: null, found, remedy: null };
};
const missing = (
  name: string,
  found: string,
  remedy: string,
  only: string | null = null,
): Check => {
  return { name, state: 'missing', only, found, remedy };
};
const unknown = (
  name: string,
  found: string,
  remedy: string | null,
  only: string | null = null,
): Check => {
  return { name, state: 'unknown', only, found, remedy };
};

const LEAST_NODE = 20;
const NEEDS_KERNEL = 'Linux 5.6';

/** What each program is for, and how to get it. */
const WHATS: Readonly<Record<Program, readonly [only: string, remedy: string]>> = {
  'dbus-daemon': ['the hosted system bus', 'Install dbus-daemon (Debian: dbus).'],
  'lxc-start': [
    'runtimes that use LXC',
    'Nothing to do where containers are started by something else.',
  ],
  nft: ['network pools with "nat"', 'Install nftables.'],
  ip: ['network pools', 'Install iproute2.'],
  unshare: ['containers of pv-appengine', 'Install util-linux.'],
};

function ofPrograms({ kernel, node, broker, programs }: Machine): Check[] {
  const isNew = Number.parseInt(node, 10) >= LEAST_NODE;
  const build = 'Run npm ci in the folder of pv-xconnect, or install the package anew.';
  return [
    isOk('kernel', `Linux ${kernel}`),
    isNew
      ? isOk('node', node)
      : missing(
          'node',
          `${node}, expected ${LEAST_NODE} or later`,
          `Install Node.js ${LEAST_NODE}.`,
        ),
    broker
      ? isOk('pvx-broker', 'is installed')
      : missing('pvx-broker', 'is not there, or may not be executed', build),
    ...Object.entries(WHATS).map(([name, [only, remedy]]) => {
      const version = programs[name as Program];
      if (version === null) return missing(name, 'is not installed', remedy, only);
      return isOk(name, version || 'is installed, and does not say its version');
    }),
  ];
}

const CALLS: Readonly<Record<ProbedCall, string>> = {
  openat2: 'paths are resolved inside containers by it',
  pidfd_open: 'containers are held by it',
  open_tree: 'device nodes are mounted by it and its kin, fsopen and move_mount',
  seccomp: 'the broker confines itself by it',
};

function ofCalls({ calls }: Machine): Check[] {
  if ('why' in calls) {
    const remedy = 'Run npm ci in the folder of pv-xconnect, or install the package anew.';
    return [missing('pvx.node', `it can't be loaded: ${calls.why}`, remedy)];
  }
  return Object.entries(CALLS).map(([name, what]) => {
    // The broker goes on without it, and says so.
    const only =
      name === 'seccomp'
        ? 'the confinement of the broker'
        : name === 'open_tree'
          ? 'device nodes'
          : null;
    const errno = calls[name as ProbedCall];
    const known = errno === 0 ? '' : getSystemErrorName(-errno);
    if (known === 'ENOSYS') {
      return missing(name, `the kernel lacks it; ${what}`, `Use ${NEEDS_KERNEL} or later.`, only);
    }
    if (known === 'EPERM' || known === 'EACCES') {
      const remedy = 'Permit it in the seccomp profile of the container that this runs in.';
      return missing(name, `it is refused (${known}); ${what}`, remedy, only);
    }
    if (name === 'seccomp' && errno !== 0) {
      return missing(
        name,
        `the kernel has no filters (${known}); ${what}`,
        'Use a kernel with CONFIG_SECCOMP_FILTER.',
        only,
      );
    }
    return isOk(name, what);
  });
}

/** As docs/security.md lists them, by their bits in linux/capability.h. */
const CAPABILITIES: Readonly<Record<string, number>> = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_DAC_READ_SEARCH: 2,
  CAP_FOWNER: 3,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_NET_BIND_SERVICE: 10,
  CAP_SYS_CHROOT: 18,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_MKNOD: 27,
};

function ofKernel(machine: Machine): Check[] {
  const { isRoot, bounding, inetDiag, nftables } = machine;
  const part = (name: string, found: Part, only: string, what: string, option: string): Check => {
    if (found === 'missing')
      return missing(name, 'the kernel lacks it', `Use a kernel with ${option}.`, only);
    if (found === null) {
      return unknown(
        name,
        'neither /proc/kallsyms nor /lib/modules tells',
        `It needs ${option}.`,
        only,
      );
    }
    return isOk(name, found === 'there' ? what : `${what}; its module is loaded when it is used`);
  };
  const lacks = Object.entries(CAPABILITIES).filter(
    ([, bit]) => bounding !== null && ((bounding >> BigInt(bit)) & 1n) === 0n,
  );
  return [
    lacks.length === 0
      ? isOk(
          'capabilities',
          isRoot
            ? 'root has all that the broker keeps'
            : 'root would have all that the broker keeps',
        )
      : missing(
          'capabilities',
          `${lacks.map(([name]) => name).join(', ')} can not be had here`,
          'Give them to the container or the service that this runs in.',
        ),
    part(
      'sock_diag',
      inetDiag,
      'providers with a port',
      'tells whether somebody listens',
      'CONFIG_INET_DIAG',
    ),
    part(
      'nftables',
      nftables,
      'network pools with "nat"',
      'translates addresses',
      'CONFIG_NF_TABLES',
    ),
    ofUserNamespaces(machine),
  ];
}

function ofUserNamespaces({ userNamespaces: most, userNamespacesOnlyRoot: setting }: Machine) {
  const [name, only] = ['user namespaces', 'pv-appengine without root'];
  if (most === null) {
    return missing(name, 'the kernel lacks them', 'Use a kernel with CONFIG_USER_NS.', only);
  }
  if (most === 0) {
    return missing(name, 'none may be made', 'Raise user.max_user_namespaces with sysctl.', only);
  }
  if (setting === null) return isOk(name, `${most} for each user at most`);
  const remedy = 'Change that with sysctl, or run pv-appengine as root.';
  return missing(name, `only root may make them (${setting})`, remedy, only);
}

/** A link has two descriptors for itself, and a connection two. */
const FEW_FILES = 4096;
const FEW_WATCHES = 65_536;
const FEW_INSTANCES = 64;

function ofLimits({ files, epollWatches, inotifyInstances }: Machine): Check[] {
  const limit = (
    name: string,
    value: number | null,
    least: number,
    setting: string,
    only: string,
  ): Check => {
    if (value === null) return unknown(name, `${setting} can't be read`, null, only);
    const found = `${Number.isFinite(value) ? value : 'no limit'} (${setting})`;
    if (value >= least) return isOk(name, found);
    return missing(name, `${found}, ${least} or more are better`, `Raise ${setting}.`, only);
  };
  return [
    limit(
      'open files',
      files.hard,
      FEW_FILES,
      'ulimit -Hn',
      `more than ${Math.floor(files.hard / 4)} connections at once`,
    ),
    limit(
      'epoll watches',
      epollWatches,
      FEW_WATCHES,
      'fs.epoll.max_user_watches',
      'many connections at once',
    ),
    limit(
      'inotify instances',
      inotifyInstances,
      FEW_INSTANCES,
      'fs.inotify.max_user_instances',
      'seeing a changed revision at once',
    ),
  ];
}

function ofSockets({ control, health, runtime, engine, isRoot }: Machine, places: Places): Check[] {
  return [
    ...ofDaemon(control, health, places.control, isRoot),
    ofSocket(
      'runtime',
      runtime,
      places.pvCtrl,
      'graphs of a runtime',
      'Start the runtime, or say where its socket is with --pv-ctrl.',
    ),
    ofSocket(
      'container engine',
      engine,
      places.docker,
      'containers of Docker or Podman',
      'Start the engine, or say where its socket is with --docker.',
    ),
  ];
}

function ofDaemon(
  control: string,
  health: Machine['health'],
  path: string,
  isRoot: boolean,
): Check[] {
  const name = 'daemon';
  if (control === 'EACCES') {
    return [unknown(name, `only root may connect to ${path}`, 'Run this as root.')];
  }
  if (control !== '') {
    const start = 'Start pv-xconnect, or say where its socket is with --control.';
    const found =
      control === 'ENOENT' ? `there is no ${path}` : `nobody answers at ${path} (${control})`;
    return [missing(name, found, isRoot ? start : `${start} It is started by root.`)];
  }
  if (health === null || typeof health === 'string') {
    return [missing(name, `${path} does not answer as expected`, health ?? 'Look at its log.')];
  }
  const { links, source } = health;
  // The daemon ends with its broker, so that one that answers has it.
  const answers = isOk(name, `it and its broker answer at ${path}, with ${links} links`);
  if (!source.failing) return [answers, isOk('graph', 'can be read')];
  const why = source.last_failure?.message.replace(/\.$/, '') ?? 'the daemon does not say why';
  return [
    answers,
    missing(
      'graph',
      `can't be read: ${why}`,
      'The last good one stands; the log of pv-xconnect says more.',
    ),
  ];
}

function ofSocket(
  name: string,
  reached: string,
  path: string,
  only: string,
  remedy: string,
): Check {
  if (reached === '') return isOk(name, `accepts connections at ${path}`);
  if (reached === 'EACCES')
    return unknown(name, `this user may not connect to ${path}`, 'Run this as root.', only);
  const found =
    reached === 'ENOENT' ? `there is no ${path}` : `nobody answers at ${path} (${reached})`;
  return missing(name, found, remedy, only);
}

function ofClock({ now, packaged }: Machine): Check {
  const time = new Date(now).toISOString();
  if (now >= packaged) return isOk('clock', time);
  const found = `${time}, before pv-xconnect was installed (${new Date(packaged).toISOString()})`;
  return missing(
    'clock',
    found,
    'Set it, and have it kept by NTP.',
    'TLS certificates, and the times in logs',
  );
}
