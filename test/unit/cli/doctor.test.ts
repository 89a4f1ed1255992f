/** `pv-xconnect doctor`: each thing that may be missing is said with what to do, and the exit code counts what is needed. */
import { constants } from 'node:os';
import { describe, expect, it, test } from 'vitest';
import { doctorCommand, judge } from '../../../src/cli/doctor.js';
import { lookAtMachine, type Machine } from '../../../src/cli/machine.js';
import { scratchFolder } from '../manifest/scratch.js';
import { Control } from '../status/control.js';
import { Paper } from './paper.js';

const PLACES = { control: '/run/c.sock', pvCtrl: '/run/pv-ctrl', docker: '/run/docker.sock' };
const { EINVAL, ENOSYS, EPERM } = constants.errno;

/** One that lacks nothing. */
const WELL: Machine = {
  kernel: '6.1.0',
  node: '20.1.0',
  isRoot: true,
  calls: { openat2: EINVAL, pidfd_open: EINVAL, open_tree: EINVAL, seccomp: 0 },
  broker: true,
  bounding: (1n << 41n) - 1n,
  inetDiag: 'there',
  nftables: 'module',
  userNamespaces: 10_000,
  userNamespacesOnlyRoot: null,
  programs: { 'dbus-daemon': '1.14', 'lxc-start': '5', nft: 'v1', ip: '6', unshare: '' },
  files: { soft: 1024, hard: Number.POSITIVE_INFINITY },
  epollWatches: 1_000_000,
  inotifyInstances: 128,
  control: '',
  health: { links: 3, source: { failing: false, last_failure: null } },
  runtime: '',
  engine: '',
  packaged: 1_000,
  now: 2_000,
};

/** What is not well, as the command tells it. */
function told(change: Partial<Machine>) {
  return judge({ ...WELL, ...change }, PLACES)
    .filter(({ state }) => state !== 'ok')
    .map(({ name, state, only, found, remedy }) => {
      return `${state} ${name}${only === null ? '' : ` (${only})`}: ${found}. ${remedy}`;
    });
}

describe('a machine', () => {
  it('that lacks nothing is well', () => {
    expect(told({})).toEqual([]);
  });

  test.each<[Partial<Machine>, string]>([
    [{ node: '18.2.0' }, 'missing node: 18.2.0, expected 20 or later. Install Node.js 20.'],
    [
      { broker: false },
      'missing pvx-broker: is not there, or may not be executed. Run npm ci in the folder of pv-xconnect, or install the package anew.',
    ],
    [
      { calls: { why: 'wrong ELF class' } },
      "missing pvx.node: it can't be loaded: wrong ELF class. Run npm ci in the folder of pv-xconnect, or install the package anew.",
    ],
    [
      { calls: { openat2: ENOSYS, pidfd_open: EINVAL, open_tree: EINVAL, seccomp: 0 } },
      'missing openat2: the kernel lacks it; paths are resolved inside containers by it. Use Linux 5.6 or later.',
    ],
    [
      { calls: { openat2: EINVAL, pidfd_open: EPERM, open_tree: EINVAL, seccomp: 0 } },
      'missing pidfd_open: it is refused (EPERM); containers are held by it. Permit it in the seccomp profile of the container that this runs in.',
    ],
    [
      { calls: { openat2: EINVAL, pidfd_open: EINVAL, open_tree: ENOSYS, seccomp: 0 } },
      'missing open_tree (device nodes): the kernel lacks it; device nodes are mounted by it and its kin, fsopen and move_mount. Use Linux 5.6 or later.',
    ],
    [
      { calls: { openat2: EINVAL, pidfd_open: EINVAL, open_tree: EINVAL, seccomp: EINVAL } },
      'missing seccomp (the confinement of the broker): the kernel has no filters (EINVAL); the broker confines itself by it. Use a kernel with CONFIG_SECCOMP_FILTER.',
    ],
    [
      { bounding: (1n << 21n) - 1n },
      'missing capabilities: CAP_SYS_ADMIN, CAP_MKNOD can not be had here. Give them to the container or the service that this runs in.',
    ],
    [
      { inetDiag: 'missing' },
      'missing sock_diag (providers with a port): the kernel lacks it. Use a kernel with CONFIG_INET_DIAG.',
    ],
    [
      { nftables: null },
      'unknown nftables (network pools with "nat"): neither /proc/kallsyms nor /lib/modules tells. It needs CONFIG_NF_TABLES.',
    ],
    [
      { userNamespaces: null },
      'missing user namespaces (pv-appengine without root): the kernel lacks them. Use a kernel with CONFIG_USER_NS.',
    ],
    [
      { userNamespaces: 0 },
      'missing user namespaces (pv-appengine without root): none may be made. Raise user.max_user_namespaces with sysctl.',
    ],
    [
      { userNamespacesOnlyRoot: 'kernel.unprivileged_userns_clone=0' },
      'missing user namespaces (pv-appengine without root): only root may make them (kernel.unprivileged_userns_clone=0). Change that with sysctl, or run pv-appengine as root.',
    ],
    [
      { programs: { ...WELL.programs, 'dbus-daemon': null } },
      'missing dbus-daemon (the hosted system bus): is not installed. Install dbus-daemon (Debian: dbus).',
    ],
    [
      { files: { soft: 1024, hard: 1024 } },
      'missing open files (more than 256 connections at once): 1024 (ulimit -Hn), 4096 or more are better. Raise ulimit -Hn.',
    ],
    [
      { epollWatches: null },
      "unknown epoll watches (many connections at once): fs.epoll.max_user_watches can't be read. null",
    ],
    [
      { control: 'ENOENT' },
      'missing daemon: there is no /run/c.sock. Start pv-xconnect, or say where its socket is with --control.',
    ],
    [
      { control: 'ECONNREFUSED', isRoot: false },
      'missing daemon: nobody answers at /run/c.sock (ECONNREFUSED). Start pv-xconnect, or say where its socket is with --control. It is started by root.',
    ],
    [
      { control: 'EACCES', isRoot: false },
      'unknown daemon: only root may connect to /run/c.sock. Run this as root.',
    ],
    [
      { health: 'Found no JSON.' },
      'missing daemon: /run/c.sock does not answer as expected. Found no JSON.',
    ],
    [
      { health: { links: 0, source: { failing: true, last_failure: { message: 'It is away.' } } } },
      "missing graph: can't be read: It is away. The last good one stands; the log of pv-xconnect says more.",
    ],
    [
      { runtime: 'ENOENT' },
      'missing runtime (graphs of a runtime): there is no /run/pv-ctrl. Start the runtime, or say where its socket is with --pv-ctrl.',
    ],
    [
      { engine: 'EACCES' },
      'unknown container engine (containers of Docker or Podman): this user may not connect to /run/docker.sock. Run this as root.',
    ],
    [
      { now: 0 },
      'missing clock (TLS certificates, and the times in logs): 1970-01-01T00:00:00.000Z, before pv-xconnect was installed (1970-01-01T00:00:01.000Z). Set it, and have it kept by NTP.',
    ],
  ])('%# that lacks something says what to do', (change, line) => {
    expect(told(change)).toEqual([line]);
  });
});

describe('the command', () => {
  async function doctor(control: string, json: boolean) {
    const stdout = new Paper();
    const places = { control, pvCtrl: '/nowhere/a', docker: '/nowhere/b' };
    const code = await doctorCommand({ ...places, json }, { stdout });
    return { code, out: stdout.text };
  }

  it('ends with 1 if the daemon does not answer, and with 0 if it does', async () => {
    const folder = await scratchFolder();
    const away = await doctor(`${folder}/none`, false);
    expect(away.code).toBe(1);
    expect(away.out).toContain(`\n✗ daemon: there is no ${folder}/none. Start pv-xconnect`);
    expect(away.out).toMatch(/\nMissing and needed: 1/);
    const control = await Control.start();
    control.put();
    const { code, out } = await doctor(control.path, false);
    expect(out).toContain(
      `\n✓ daemon: it and its broker answer at ${control.path}, with 1 links.\n`,
    );
    expect(out).toContain('\n✗ runtime (only for graphs of a runtime): there is no /nowhere/a. ');
    expect(out).toMatch(/\nNothing that is needed is missing/);
    expect(code).toBe(0);
  });

  it('is JSON for a program', async () => {
    const control = await Control.start();
    const { code, out } = await doctor(control.path, true);
    const { ok, checks } = JSON.parse(out);
    expect([code, ok]).toEqual([0, true]);
    expect(checks[0]).toMatchObject({ name: 'kernel', state: 'ok', only: null, remedy: null });
  });

  it('asks the kernel nothing by which it could do something', async () => {
    const { calls } = await lookAtMachine({ control: '/no', pvCtrl: '/no', docker: '/no' });
    expect(calls).toEqual({ openat2: EINVAL, pidfd_open: EINVAL, open_tree: EINVAL, seccomp: 0 });
  });
});
