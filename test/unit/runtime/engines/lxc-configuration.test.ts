/** `lxc.container.conf`: what of it is kept, what is refused, and what lxc-start is given. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import type { Lease } from '../../../../src/runtime/address-plan.js';
import {
  bakedIn,
  readConfiguration,
  stopSignal,
  writeConfiguration,
} from '../../../../src/runtime/engines/lxc/configuration.js';
import {
  formatMountEntry,
  readMountEntry,
} from '../../../../src/runtime/engines/lxc/mount-entry.js';
import { fc, property } from '../../../support/property.js';

const PINGER = readFileSync(
  new URL('../../../fixtures/pvexports/watchdog_pinger/lxc.container.conf', import.meta.url),
  'utf8',
);
const EMPTY = { hostname: 'web', leases: [], mounts: [], ownNetwork: false, unified: false };

const written = (text: string, more: object = {}) =>
  writeConfiguration(readConfiguration(text), { ...EMPTY, rootfs: '/x/rootfs', ...more }).split(
    '\n',
  );

describe('a configuration as pvr writes it', () => {
  test('is kept, but for its root', () => {
    const { faults, kept, mounts } = readConfiguration(PINGER);
    expect(faults).toEqual([]);
    expect(kept.map(({ key }) => key)).toEqual([
      'lxc.tty.max',
      'lxc.pty.max',
      'lxc.cgroup.devices.allow',
      'lxc.init.cmd',
      'lxc.init.cwd',
      'lxc.environment',
      'lxc.namespace.keep',
      'lxc.mount.auto',
    ]);
    expect(mounts.map(({ kind, source, target }) => `${kind} ${source} ${target}`)).toEqual([
      'kernel tmpfs run',
      'host /etc/resolv.conf etc/resolv.conf',
      'volume watchdog_pinger/docker--tmp tmp',
    ]);
  });

  test('gets a root, a name, and the mounts of the runtime', () => {
    const lines = written(PINGER, { mounts: ['/a b none bind 0 0'] });
    expect(lines).toContain('lxc.rootfs.path = dir:/x/rootfs');
    expect(lines).toContain('lxc.uts.name = web');
    expect(lines).toContain('lxc.namespace.keep = user  net  ipc'.replaceAll('  ', ' '));
    expect(lines).toContain('lxc.mount.entry = /a b none bind 0 0');
    expect(lines.filter((line) => line.includes('/volumes'))).toEqual([]);
  });

  test('leaves the network of the host where it has one of its own', () => {
    const lines = written(PINGER, { ownNetwork: true });
    expect(lines).toContain('lxc.namespace.keep = user ipc');
    expect(lines).toContain('lxc.net.0.type = empty');
  });

  test('has an interface for each address, and a default route of each family', () => {
    const pool = { name: 'p', bridge: 'br', network: 0x0a000500n, bits: 24, nat: false };
    const four = { ...pool, gateway: 0x0a000501n, width: 32 } as const;
    const six = {
      ...pool,
      network: 0xfd00n << 112n,
      gateway: (0xfd00n << 112n) + 1n,
      bits: 64,
      width: 128,
    } as const;
    const leases: Lease[] = [
      { pool: four, name: 'eth0', ip: '10.0.5.2', mac: '02:00:0a:00:05:02' },
      { pool: four, name: 'eth1', ip: '10.0.5.3', mac: '02:00:0a:00:05:03' },
      { pool: six, name: 'lan', ip: 'fd00::2', mac: '02:06:00:00:00:02' },
    ];
    const lines = written(PINGER, { ownNetwork: true, leases }).filter((line) =>
      line.includes('.net.'),
    );
    expect(lines.filter((line) => line.includes('gateway'))).toEqual([
      'lxc.net.0.ipv4.gateway = 10.0.5.1',
      'lxc.net.2.ipv6.gateway = fd00::1',
    ]);
    expect(lines).toContain('lxc.net.1.ipv4.address = 10.0.5.3/24');
    expect(lines).toContain('lxc.net.2.hwaddr = 02:06:00:00:00:02');
  });

  test('has no device rules of cgroup 1 where there is cgroup 2 alone', () => {
    const lines = written(PINGER, { unified: true });
    expect(lines.filter((line) => line.includes('cgroup'))).toEqual([
      'lxc.mount.auto = proc sys:rw cgroup'.replace('proc sys:rw cgroup', 'proc  sys:rw  cgroup'),
      'lxc.cgroup2.devices.allow = a',
    ]);
  });

  test('tells its own interfaces and addresses', () => {
    expect(bakedIn(readConfiguration(PINGER))).toEqual({ hasInterfaces: false, addresses: [] });
    const text = 'lxc.net.0.type = veth\nlxc.net.0.ipv4.address = 10.0.3.2/24 10.0.3.255\n';
    expect(bakedIn(readConfiguration(text))).toEqual({
      hasInterfaces: true,
      addresses: ['10.0.3.2/24'],
    });
  });
});

describe('a hostile configuration', () => {
  test.each([
    'lxc.hook.pre-start = /bin/rm -rf /',
    'lxc.hook.autodev = /x',
    'lxc.hook.post-stop=/x',
    '  lxc.hook.mount = /x',
    'lxc.include = /etc/shadow',
    'lxc.mount.fstab = /etc/fstab',
    'lxc.net.0.script.up = /x',
    'lxc.net.0.type = phys',
    'lxc.seccomp.profile = /etc/shadow',
    'lxc.idmap = u 0 100000 65536',
    'lxc.cgroup.dir = ../../x',
    'lxc.namespace.keep = mnt',
    'lxc.namespace.share.pid = 1',
    'lxc.execute.cmd = /x',
    'lxc.unheard-of = 1',
    'lxc.mount.auto = proc shmounts:/x',
    'lxc.mount.entry = /dev/sda1 mnt ext4 rw 0 0',
    'lxc.mount.entry = overlay x overlay lowerdir=/etc,upperdir=/a,workdir=/b 0 0',
    'lxc.mount.entry = / host none bind 0 0',
    'lxc.mount.entry = "/etc etc none bind 0 0"',
    'lxc.mount.entry = /etc/../root x none bind 0 0',
    'lxc.mount.entry = /volumes/../etc x none bind 0 0',
    'lxc.mount.entry = tmpfs ../x tmpfs rw 0 0',
    'lxc.mount.entry = tmpfs a/../../x tmpfs rw 0 0',
    'lxc.mount.entry = tmpfs / tmpfs rw 0 0',
    'lxc.mount.entry = /proc/1/root x none bind 0 0',
    'lxc.mount.entry = /dev/fd/3 x none bind 0 0',
    'lxc.mount.entry = etc x none bind,relative 0 0',
    'lxc.mount.entry = /etc\\040x y none bind 0 0',
    // Octal escapes are those of fstab(5): a newline in a type would begin a line of its own.
    'lxc.mount.entry = /volumes/a/b x none\\012lxc.hook.start\\040=\\040/x bind 0 0',
    'lxc.mount.entry = tmpfs x tmpfs\\012lxc.hook.start=/x rw 0 0',
    'lxc.mount.entry = /volumes/a/b x none bind\\012lxc.hook.start=/x 0 0',
    'lxc.sysctl.kernel.core_pattern = |/x',
    'lxc.sysctl.kernel.modprobe = /x',
    'lxc.sysctl.vm.overcommit_memory = 1',
    'lxc.proc... = 1',
    'no setting at all',
    'lxc.environment = a\u0000b',
  ])('with %j is refused, by its line', (line) => {
    const { faults, kept, mounts } = readConfiguration(`# one\n\n${line}\n`);
    expect(faults).toMatchObject([{ line: 3 }]);
    expect([...kept, ...mounts]).toEqual([]);
  });

  test('a folder of the host is mounted where whoever runs it allows that', () => {
    const text = 'lxc.mount.entry = /srv/data/x srv none bind,ro,create=dir 0 0';
    expect(readConfiguration(text).faults).toHaveLength(1);
    expect(readConfiguration(text, ['/srv/data']).mounts).toMatchObject([
      {
        kind: 'host',
        source: '/srv/data/x',
        target: 'srv',
        options: ['bind', 'ro'],
        create: 'dir',
      },
    ]);
    expect(readConfiguration(text, ['/srv/dat']).faults).toHaveLength(1);
  });

  test('that is huge is refused as a whole', () => {
    expect(readConfiguration('x'.repeat(2 ** 21)).faults).toHaveLength(1);
    expect(readConfiguration('#\n'.repeat(20_000)).faults).toHaveLength(1);
  });

  test('names a place with newlines in it on one line', () => {
    const source = '/volumes/a/b\\012lxc.hook.start\\040=\\040/x';
    const read = readConfiguration(`lxc.mount.entry = ${source} x\\012y none bind 0 0`);
    expect(read.faults).toEqual([]);
    for (const mount of read.mounts) {
      expect(formatMountEntry(mount, `/s/${mount.source}`, mount.target)).not.toMatch(/\s\n|\n/);
    }
  });

  test('keeps what is said to a namespace of the container’s own', () => {
    const text =
      'lxc.sysctl.net.ipv4.ip_forward = 1\nlxc.sysctl.kernel.shmmax = 5\nlxc.proc.oom_score_adj = 10\n';
    expect(readConfiguration(text)).toMatchObject({ faults: [], kept: [{}, {}, {}] });
  });

  property('whatever it is, what is written has none of it but known keys', async (holds) => {
    const key = fc.constantFrom(
      'lxc.hook.pre-start',
      'lxc.init.cmd',
      'lxc.mount.entry',
      'lxc.rootfs.path',
      'lxc.include',
      'x',
    );
    const line = fc.oneof(
      fc.tuple(key, fc.constantFrom('=', ' = ', '\t='), fc.string()).map((parts) => parts.join('')),
      fc.string({ unit: 'binary' }),
    );
    await holds(
      fc.property(fc.array(line), (lines) => {
        const out = written(lines.join('\n')).filter((one) => one !== '' && !one.startsWith('#'));
        for (const one of out) {
          expect(one).toMatch(
            /^lxc\.(init\.cmd|uts\.name|rootfs\.path|console\.path|apparmor\.profile) = /,
          );
        }
        expect(out.filter((one) => one.startsWith('lxc.rootfs.path'))).toEqual([
          'lxc.rootfs.path = dir:/x/rootfs',
        ]);
      }),
    );
  });
});

test('a mount entry is written as it was read', () => {
  const text = '/volumes/a/b\\040c opt/x\\040y none bind,rw,create=dir,optional 0 0';
  const read = readMountEntry(text, []);
  if (!read.ok) throw new Error(read.why);
  expect(read.value).toMatchObject({ source: 'a/b c', target: 'opt/x y', optional: true });
  expect(formatMountEntry(read.value, '/s/b c', read.value.target)).toBe(
    '/s/b\\040c opt/x\\040y none bind,rw,create=dir,optional 0 0',
  );
});

test.each([
  ['', 15],
  ['lxc.signal.stop = SIGINT', 2],
  ['lxc.signal.stop = SIGRTMIN+3\nlxc.signal.halt = SIGPWR', 37],
  ['lxc.signal.halt = SIGPWR', 30],
  ['lxc.signal.halt = RTMAX-1', 63],
  ['lxc.signal.halt = 9', 9],
  ['lxc.signal.halt = SIGNOTHING', 15],
  ['lxc.signal.halt = 900', 15],
])('after %j it is asked to end by signal %d', (text, signal) => {
  expect(stopSignal(readConfiguration(text), constants.signals)).toBe(signal);
});

property('a mount entry is one line of six fields, whatever escapes are in it', async (holds) => {
  const more = fc.constantFrom('', '\\012lxc.hook.start=/x', '\\040', '\\011', '\\134', '\\000');
  const field = (...texts: string[]) =>
    fc.tuple(fc.constantFrom(...texts), more).map((parts) => parts.join(''));
  const entry = fc.tuple(
    field('/volumes/a/b', 'tmpfs', '/dev'),
    field('x', 'a/b'),
    field('none', 'tmpfs'),
    field('bind', 'rw', 'bind,create=dir'),
  );
  await holds(
    fc.property(entry, (fields) => {
      const read = readMountEntry(fields.join(' '), []);
      if (!read.ok) return;
      const { source, target } = read.value;
      const line = formatMountEntry(read.value, source, target);
      expect(line).not.toMatch(/[\n\t]/);
      expect(line.split(' ')).toHaveLength(6);
    }),
  );
});
