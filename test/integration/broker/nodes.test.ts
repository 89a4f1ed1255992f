/**
 * Device nodes found and planted by pvx-broker: real mknod with the real numbers, in real containers. There are
 * no such devices on the machine, so nothing here opens one.
 */
import { closeSync, readlinkSync, statSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DeviceKind } from '../../../src/broker/devices.js';
import { HOST } from '../../../src/broker/protocol.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { failure, useBroker } from './support.js';

const CARD = '/dev/dri/card0';

describe('pvx-broker and device nodes', () => {
  const at = useBroker();
  const devices = () => at.host.broker.devices;

  async function find(path: string, kind: DeviceKind = 'drm', container = at.handle) {
    const found = await devices().find(container, kind, path);
    if (!found.ok) throw new Error(found.errno);
    return found.value;
  }

  describe('finding one', () => {
    beforeAll(async () => {
      await at.sh(`mkdir -p /dev/dri /dev/input; mknod -m 660 ${CARD} c 226 0; chgrp 44 ${CARD}
        mknod /dev/dri/renderD128 c 226 128; mknod /dev/input/event3 c 13 67; ln -s card0 /dev/dri/by-path
        mknod /dev/block b 226 0; mkfifo /dev/fifo; echo x > /dev/file; ln -s /dev/vda /dev/escape`);
    });

    test('says its numbers, mode and owner, and holds it by descriptor', async () => {
      const { fd, node } = await find(CARD);
      expect(node).toEqual({ major: 226, minor: 0, mode: 0o660, uid: 0, gid: 44 });
      expect(readlinkSync(`/proc/self/fd/${fd}`)).toMatch(/card0$/);
      closeSync(fd);
    });

    test('follows a symlink inside the container', async () => {
      const { fd, node } = await find('/dev/dri/by-path');
      expect(node.minor).toBe(0);
      closeSync(fd);
    });

    test.each([
      ['a regular file', '/dev/file', 'drm', 'ENOTTY'],
      ['a fifo', '/dev/fifo', 'drm', 'ENOTTY'],
      ['a folder', '/dev/dri', 'drm', 'ENOTTY'],
      ['a block device of the same number', '/dev/block', 'drm', 'ENOTTY'],
      ['another character device', '/dev/null', 'drm', 'EPROTOTYPE'],
      ['a DRM device as input', CARD, 'input', 'EPROTOTYPE'],
      ['an input device as DRM', '/dev/input/event3', 'drm', 'EPROTOTYPE'],
      ['nothing', '/dev/dri/card9', 'drm', 'ENOENT'],
      ['a symlink that would leave the container', '/dev/escape', 'drm', 'ENOENT'],
      ['a magic link', '/proc/1/root/dev/dri/card0', 'drm', 'ELOOP'],
      ['a way up', '/dev/../dev/dri/card0', 'drm', 'EINVAL'],
    ] as const)('refuses %s', async (_name, path, kind, errno) => {
      expect(await devices().find(at.handle, kind, path)).toEqual(failure(errno));
    });

    test('refuses what is none on the host, too', async () => {
      expect(await devices().find(HOST, 'drm', '/dev/null')).toEqual(failure('EPROTOTYPE'));
      expect(await devices().find(HOST, 'drm', '/etc/passwd')).toEqual(failure('ENOTTY'));
      expect(await devices().find(4711, 'drm', CARD)).toEqual(failure('EBADF'));
    });
  });

  describe('planting one', () => {
    let consumer: TestContainer;
    let own: TestContainer;
    let handle: number;
    let ownHandle: number;
    const sh = async (script: string, container = consumer) =>
      (await container.exec(['sh', '-c', script])).stdout.trim();
    const numbers = (path: string, container = consumer) =>
      sh(`stat -c '%F %t:%T %a %u:%g' ${path}`, container);

    beforeAll(async () => {
      consumer = await startContainer({ name: 'consumer' });
      own = await startContainer({ name: 'own', userns: true });
      handle = await at.hold(consumer.pid);
      ownHandle = await at.hold(own.pid);
    });
    afterAll(async () => {
      await consumer?.kill();
      await own?.kill();
    });
    afterEach(() => sh('rm -rf /dev/dri /run/d'));

    async function plant(path = CARD, on = handle, source = CARD) {
      const { fd, node } = await find(source);
      return devices().plant(on, 'drm', path, node.uid, node.gid, fd);
    }

    async function planted(path = CARD, on = handle): Promise<number> {
      const result = await plant(path, on);
      if (!result.ok) throw new Error(result.errno);
      return result.value;
    }

    test('gives it the numbers, the mode and the owner, below folders of mode 0755', async () => {
      const handleOfPlant = await planted();
      expect(await numbers(CARD)).toBe('character special file e2:0 660 0:44');
      expect(await sh('stat -c %a /dev/dri')).toBe('755');
      expect(await sh('ls -A /dev/dri')).toBe('card0');
      await at.host.broker.remove(handleOfPlant);
      expect(await sh('ls -A /dev/dri')).toBe('');
    });

    test('makes one that its container can open, as far as there is a device', async () => {
      await planted();
      const { stderr } = await consumer.exec(['cat', CARD]);
      expect(stderr).toMatch(/No such device/); // not "Permission denied"
    });

    test('translates the owner for a user namespace', async () => {
      await planted('/dev/dri/card0', ownHandle);
      expect(await numbers(CARD, own)).toBe('character special file e2:0 660 0:44');
      expect(statSync(`${own.rootDir}${CARD}`)).toMatchObject({ uid: 100_000, gid: 100_044 });
      await sh('rm -r /dev/dri', own);
    });

    test('gives an owner that the container does not have to its root', async () => {
      await at.sh('chown 70000:70001 /dev/dri/renderD128');
      await plant('/run/d/r', ownHandle, '/dev/dri/renderD128');
      expect(await numbers('/run/d/r', own)).toMatch(/ 0:0$/);
      await sh('rm -r /run/d', own);
    });

    describe.each([
      ['of a user namespace', () => own, () => ownHandle, 'mount -t tmpfs none /run/d'],
      ['mounted nodev', () => consumer, () => handle, 'mount -t tmpfs -o nodev none /run/d'],
    ])('in a file system %s', (_name, container, on, mount) => {
      beforeAll(() => sh(`mkdir -p /run/d; ${mount}`, container()));
      afterAll(() => sh('umount /run/d', container()));
      const path = '/run/d/dri/card0';

      test('mounts one that can be opened, and takes it away with all of its traces', async () => {
        const handleOfPlant = await planted(path, on());
        expect(await numbers(path, container())).toBe('character special file e2:0 660 0:44');
        const { stderr } = await container().exec(['cat', path]);
        expect(stderr).toMatch(/No such device/);
        expect(await sh('ls -A /run/d/dri', container())).toBe('card0');
        await at.host.broker.remove(handleOfPlant);
        expect(await sh('ls -A /run/d/dri; grep -c card0 /proc/self/mountinfo', container())).toBe(
          '0',
        );
      });

      test('leaves no mount anywhere else', async () => {
        const handleOfPlant = await planted(path, on());
        expect(await sh('grep -c " /run/d/dri" /proc/self/mountinfo', container())).toBe('1');
        expect(await sh('grep -c "pvx-" /proc/self/mountinfo', container())).toBe('0');
        await at.host.broker.remove(handleOfPlant);
      });

      test('leaves what was mounted over it, and what took its place', async () => {
        const handleOfPlant = await planted(path, on());
        await sh(`umount ${path}; echo mine > ${path}`, container());
        await at.host.broker.remove(handleOfPlant);
        // The file below is ours; it was written to, and is the same file.
        expect(await sh(`ls -A /run/d/dri`, container())).toBe('');
        const another = await planted(path, on());
        await sh(`umount ${path}; rm ${path}; echo mine > ${path}`, container());
        await at.host.broker.remove(another);
        expect(await sh(`cat ${path}`, container())).toBe('mine');
        await sh(`rm ${path}`, container());
      });

      test('adopts the same device and refuses anything else', async () => {
        const handleOfPlant = await planted(path, on());
        expect(await plant(path, on())).toEqual({ ok: true, value: expect.any(Number) });
        expect(await plant(path, on(), '/dev/dri/renderD128')).toEqual(failure('EEXIST'));
        await at.host.broker.remove(handleOfPlant);
      });
    });

    test('adopts the same device that is there already, and does not remove it', async () => {
      await sh(`mkdir -p /dev/dri; mknod -m 600 ${CARD} c 226 0`);
      const adopted = await planted();
      expect(await numbers(CARD)).toBe('character special file e2:0 600 0:0');
      await at.host.broker.remove(adopted);
      expect(await numbers(CARD)).toBe('character special file e2:0 600 0:0');
    });

    test.each([
      ['another device', 'mknod $T c 226 1', 'character special file'],
      ['a block device of the same numbers', 'mknod $T b 226 0', 'block special file'],
      ['a regular file', 'echo x > $T', 'regular file'],
      ['a folder', 'mkdir $T', 'directory'],
      ['a symlink to the same device', 'mknod /dev/dri/x c 226 0; ln -s x $T', 'symbolic link'],
      ['a fifo', 'mkfifo $T', 'fifo'],
    ])('refuses %s at the target, which stays untouched', async (_name, make, found) => {
      await sh(`mkdir -p /dev/dri; T=${CARD}; ${make}`);
      expect(await plant()).toEqual(failure('EEXIST'));
      expect(await sh(`stat -c %F ${CARD}`)).toBe(found);
      expect(await sh('ls -A /dev/dri | grep -c pvx')).toBe('0');
    });

    test.each([
      ['a way up', '/dev/../x', 'EINVAL'],
      ['the root', '/', 'EINVAL'],
      ['a magic link', '/proc/self/root/run/x', 'ELOOP'],
      ['a read-only file system', '/usr/card0', 'EROFS'],
      ['a file on the way', '/etc/passwd/x', 'ENOTDIR'],
      ['a folder of proc', '/proc/x', 'ENOENT'],
    ])('refuses %s as a target', async (_name, path, errno) => {
      expect(await plant(path)).toEqual(failure(errno));
    });

    test('stays inside a container whose folder is an absolute symlink', async () => {
      await sh('mkdir /run/inside; ln -s /run/inside /dev/dri');
      await planted();
      expect(await sh('ls /run/inside')).toBe('card0');
      expect(() => statSync('/run/inside')).toThrow();
      await sh('rm -r /run/inside /dev/dri');
    });

    test('removes only what it planted: another node in its place stays', async () => {
      const handleOfPlant = await planted();
      await sh(`rm ${CARD}; mknod ${CARD} c 226 0`);
      await at.host.broker.remove(handleOfPlant);
      expect(await numbers(CARD)).toMatch(/e2:0/);
    });

    test('refuses a descriptor that is no node of that kind', async () => {
      const { openSync } = await import('node:fs');
      for (const [path, errno] of [
        ['/dev/null', 'EPROTOTYPE'],
        ['/etc/passwd', 'ENOTTY'],
      ] as const) {
        const node = openSync(path, 'r');
        expect(await devices().plant(handle, 'drm', CARD, 0, 0, node)).toEqual(failure(errno));
        expect(await devices().open('drm', {}, openSync(path, 'r'))).toEqual(failure(errno));
        expect(await devices().readCard(openSync(path, 'r'))).toEqual(failure(errno));
        expect(await devices().lease([1, 2], openSync(path, 'r'))).toEqual(failure(errno));
      }
      expect(await sh('ls /dev/dri 2>&1')).toMatch(/No such file/);
    });

    test('opens nothing where there is no device behind the node', async () => {
      expect((await devices().open('drm', {}, (await find(CARD)).fd)).ok).toBe(false);
    });

    test('goes with the daemon', async () => {
      const { startBroker } = await import('../../support/broker.js');
      const other = await startBroker();
      const held = await other.broker.hold(consumer.pid, 0);
      if (!held.ok) throw new Error(held.errno);
      closeSync(held.value.pidfd);
      const { fd } = await find(CARD);
      await other.broker.devices.plant(held.value.handle, 'drm', CARD, 0, 0, fd);
      expect(await numbers(CARD)).toMatch(/e2:0/);
      await other.stop();
      expect(await sh('ls -A /dev/dri')).toBe('');
    });
  });
});
