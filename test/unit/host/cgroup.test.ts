import { describe, expect, test } from 'vitest';
import { containerOf, isSameContainer } from '../../../src/host/cgroup.js';
import { fc, property } from '../../support/property.js';

const ID = 'c0ffee'.repeat(10).padEnd(64, '0');
const POD = 'ab'.repeat(32);
const NOWHERE = '0::/system.slice/pv-xconnect.service\n';

describe('the cgroups of a process', () => {
  test.each([
    ['LXC, version 2', '0::/lxc.payload.web/init.scope\n', 'web'],
    ['LXC, version 1', '12:pids:/lxc/web\n11:cpu:/lxc/web\n0::/\n', 'web'],
    ['LXC with a folder of its own', '0::/lxc.payload/web\n', 'web'],
    ['Pantavisor', '0::/lxc/web/ns\n', 'web'],
    ['Docker with systemd', `0::/system.slice/docker-${ID}.scope\n`, ID],
    ['Docker without', `5:memory:/docker/${ID}\n`, ID],
    ['Podman', `0::/machine.slice/libpod-${ID}.scope/container\n`, ID],
    ['a pod of Podman without systemd', `0::/libpod_parent/${POD}/libpod-${ID}\n`, ID],
    ['containerd', `0::/kubepods.slice/cri-containerd-${ID}.scope\n`, ID],
    ['a controller without a container first', '9:cpuset:/\n8:pids:/lxc/web\n', 'web'],
    ['a name with a colon', '0::/lxc/we:b\n', 'we:b'],
  ])('of %s name the container', (_of, cgroup, name) => {
    expect(containerOf(cgroup, NOWHERE)).toBe(name);
  });

  test.each([
    ['a service', NOWHERE],
    ['the root', '0::/\n'],
    ['none at all', ''],
    ['what only looks similar', '0::/lxcfs/web/lxc.monitor.web/docker-abc.scope\n'],
    ['a folder that is empty', '0::/lxc/\n'],
    ['another namespace', '0::/../../..\n'],
  ])('of %s name none', (_of, cgroup) => {
    expect(containerOf(cgroup, NOWHERE)).toBeNull();
  });

  test('name the outermost: those within are of a container’s own making', () => {
    expect(containerOf('0::/lxc.payload.evil/lxc/web\n', NOWHERE)).toBe('evil');
  });

  test('name the next one where we are in the outermost ourselves', () => {
    const own = '0::/lxc.payload.machine/system.slice/pv-xconnect.service\n';
    expect(containerOf('0::/lxc.payload.machine/lxc/web\n', own)).toBe('web');
    expect(containerOf('0::/lxc.payload.machine/system.slice\n', own)).toBeNull();
    expect(containerOf('0::/lxc/web\n', '0::/lxc/pv-xconnect\n')).toBe('web');
  });

  property('are read to the end, whatever stands in them', (holds) =>
    holds(
      fc.property(fc.string(), fc.string(), (cgroup, own) => {
        const name = containerOf(cgroup, own);
        expect(name === null || name.length > 0).toBe(true);
      }),
    ),
  );

  test.each([
    ['web', 'web', true],
    ['web', 'web-1', true],
    ['web', 'web-one', false],
    ['web', 'db', false],
    ['web', ID, null],
    [ID.slice(0, 12), ID, true],
    ['0123456789ab', ID, false],
  ])('the graph’s %s and theirs %s: %s', (name, found, same) => {
    expect(isSameContainer(name, found)).toBe(same);
  });
});
