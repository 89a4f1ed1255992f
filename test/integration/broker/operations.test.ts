/** The closed list of pvx-broker, each operation asked for as the daemon would, in real containers. */
import { closeSync, readFileSync, statSync } from 'node:fs';
import net from 'node:net';
import { describe, expect, test } from 'vitest';
import { bootTicks } from '../../../src/kernel/boot-clock.js';
import { startBroker } from '../../support/broker.js';
import { startContainer } from '../../support/container.js';
import { nextTick } from '../../support/wait.js';
import { failure, useBroker } from './support.js';

describe('pvx-broker', () => {
  const at = useBroker();

  describe('holding a container', () => {
    test('says when its process started and where it lives', async () => {
      const held = await at.host.broker.hold(at.container.pid, 0);
      expect(held.ok).toBe(true);
      if (!held.ok) return;
      closeSync(held.value.pidfd);
      const stat = readFileSync(`/proc/${at.container.pid}/stat`, 'utf8');
      expect(held.value.startTime).toBe(
        Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]),
      );
      const { ino } = statSync(`/proc/${at.container.pid}/ns/mnt`, { bigint: true });
      expect(held.value.mountNamespace).toBe(ino);
      await at.host.broker.release(held.value.handle);
    });

    test('refuses a process that started after the graph was true, so a recycled pid reaches nobody', async () => {
      const before = bootTicks();
      await nextTick();
      const young = await startContainer({ name: 'young' });
      expect(await at.host.broker.hold(young.pid, before)).toEqual(failure('ESTALE'));
      await at.hold(young.pid, bootTicks());
      await young.kill();
    });

    test('refuses a process of the host, one that is gone, and what is no pid', async () => {
      expect(await at.host.broker.hold(process.pid, 0)).toEqual(failure('EXDEV'));
      for (const pid of [0, 0x7fff_fff0, 0xffff_ffff]) {
        expect(await at.host.broker.hold(pid, 0)).toEqual(failure('ESRCH'));
      }
    });

    test('answers ESRCH for a container that ended, and EBADF once it was let go', async () => {
      const other = await startContainer({ name: 'ended' });
      const held = await at.hold(other.pid);
      await other.kill();
      expect(await at.host.broker.probeUnix(held, '/run/x')).toEqual(failure('ESRCH'));
      await at.host.broker.release(held);
      expect(await at.host.broker.probeUnix(held, '/run/x')).toEqual(failure('EBADF'));
      expect(await at.host.broker.probeUnix(4711, '/run/x')).toEqual(failure('EBADF'));
    });

    test('does not take an old handle for whoever has its place now', async () => {
      const old = await at.hold(at.container.pid);
      await at.host.broker.release(old);
      const young = await at.hold(at.container.pid);
      expect(young).not.toBe(old);
      expect(await at.host.broker.probeUnix(old, '/run/x')).toEqual(failure('EBADF'));
      await at.host.broker.release(young);
    });
  });

  describe('planting a socket', () => {
    test('makes it with mode 0666, its folders with 0755, all owned by root', async () => {
      const { plant: planted, fd } = await at.plant('/run/a/b/c.sock');
      expect(await at.sh('stat -c "%a %u %g" /run/a /run/a/b /run/a/b/c.sock')).toBe(
        '755 0 0\n755 0 0\n666 0 0',
      );
      await at.host.broker.remove(planted);
      closeSync(fd);
      expect(await at.sh('ls -A /run/a/b')).toBe('');
    });

    test('leaves no half-made name beside it, whether it succeeds or not', async () => {
      await at.sh('mkdir -p /run/tidy; mkdir /run/tidy/taken');
      expect(await at.host.broker.listenUnix(at.handle, 'stream', '/run/tidy/taken')).toEqual(
        failure('EEXIST'),
      );
      expect(await at.sh('ls -A /run/tidy')).toBe('taken');
    });

    test.each(['stream', 'seqpacket', 'dgram'] as const)(
      'replaces a stale %s socket, and only that',
      async (type) => {
        const script = `import socket,os;s=socket.socket(socket.AF_UNIX,socket.SOCK_${type.toUpperCase()});s.bind('/run/stale-${type}')`;
        await at.container.exec(['python3', '-c', script]);
        const { plant: planted, fd } = await at.plant(`/run/stale-${type}`);
        expect(await at.host.broker.listenUnix(at.handle, 'stream', `/run/stale-${type}`)).toEqual(
          failure('EADDRINUSE'),
        );
        await at.host.broker.remove(planted);
        closeSync(fd);
      },
    );

    test.each([
      ['a relative path', 'run/x', 'EINVAL'],
      ['nothing', '', 'EINVAL'],
      ['the root', '/', 'EINVAL'],
      ['a folder', '/run/', 'EINVAL'],
      ['the folder itself', '/run/.', 'EINVAL'],
      ['a way up', '/run/../x', 'EINVAL'],
      ['a way up at the end', '/run/x/..', 'EINVAL'],
      ['a name of 256 bytes', `/run/${'x'.repeat(256)}`, 'ENAMETOOLONG'],
      ['a magic link', '/proc/self/root/run/x', 'ELOOP'],
      ['a file on the way', '/etc/passwd/x', 'ENOTDIR'],
      ['a folder of proc', '/proc/x', 'ENOENT'],
    ])('refuses %s', async (_name, path, errno) => {
      expect(await at.host.broker.listenUnix(at.handle, 'stream', path)).toEqual(failure(errno));
    });

    test('does not follow a symlink to nowhere on the way', async () => {
      await at.sh('ln -s /run/nowhere /run/dangling');
      expect(await at.host.broker.listenUnix(at.handle, 'stream', '/run/dangling/x')).toEqual(
        failure('ELOOP'),
      );
      expect(await at.sh('ls -d /run/nowhere 2>/dev/null')).toBe('');
    });

    test('refuses a container that has the host’s own root, but for what is mounted over it', async () => {
      const { spawn } = await import('node:child_process');
      const shell = spawn(
        'unshare',
        ['-m', 'sh', '-c', 'mount -t tmpfs none /mnt; ln -s /run /mnt/out; echo ready; read _'],
        { stdio: ['pipe', 'pipe', 'inherit'] },
      );
      await new Promise((resolve) => shell.stdout.once('data', resolve));
      const held = await at.hold(shell.pid as number);
      expect(await at.host.broker.listenUnix(held, 'stream', '/run/pvx-never/x.sock')).toEqual(
        failure('EXDEV'),
      );
      // Not by way of a symlink either: where it leads to is what counts.
      expect(await at.host.broker.listenUnix(held, 'stream', '/mnt/out/pvx-never/x.sock')).toEqual(
        failure('EXDEV'),
      );
      expect(() => statSync('/run/pvx-never')).toThrow();
      const own = await at.plant('/mnt/own/x.sock', held);
      closeSync(own.fd);
      expect(() => statSync('/mnt/own')).toThrow();
      await at.host.broker.release(held);
      shell.stdin.end();
    });

    test('belongs to the root of a user namespace, and connects as its users', async () => {
      const own = await startContainer({ name: 'users', userns: true });
      const held = await at.hold(own.pid);
      const { fd } = await at.plant('/run/made/own.sock', held);
      closeSync(fd);
      const { stdout } = await own.exec(['stat', '-c', '%u %g', '/run/made', '/run/made/own.sock']);
      expect(stdout.trim()).toBe('0 0\n0 0');
      const script =
        "import socket,struct;s=socket.socket(socket.AF_UNIX);s.bind('/run/who');import os;os.chmod('/run/who',0o777);s.listen();print('ready',flush=True)\nwhile 1:\n c,_=s.accept();c.sendall(('%d %d %d'%struct.unpack('3i',c.getsockopt(1,17,12))).split(' ',1)[1].encode());c.close()";
      const server = own.run(['python3', '-c', script]);
      await new Promise((resolve) => server.stdout?.once('data', resolve));
      for (const [uid, gid] of [
        [0, 0],
        [1234, 4321],
      ] as const) {
        const made = await at.host.broker.connectUnix(held, 'stream', '/run/who', uid, gid);
        if (!made.ok) throw new Error(made.errno);
        const socket = new net.Socket({ fd: made.value, readable: true, writable: true });
        const said = await new Promise((resolve) => socket.once('data', resolve));
        expect(String(said)).toBe(`${uid} ${gid}`);
        socket.destroy();
      }
      // Nobody there has this uid.
      expect(await at.host.broker.connectUnix(held, 'stream', '/run/who', 70_000, 0)).toEqual(
        failure('EPERM'),
      );
      await own.kill();
    });
  });

  describe('removing', () => {
    test('takes only what was planted: another socket in its place stays', async () => {
      const { plant: planted, fd } = await at.plant('/run/mine.sock');
      const script =
        "import socket,os;os.unlink('/run/mine.sock');s=socket.socket(1);s.bind('/run/mine.sock')";
      await at.container.exec(['python3', '-c', script]);
      expect(await at.host.broker.remove(planted)).toEqual({ ok: true, value: undefined });
      expect(await at.sh('stat -c %F /run/mine.sock')).toBe('socket');
      closeSync(fd);
      await at.sh('rm /run/mine.sock');
    });

    test('works once, and after the container was let go', async () => {
      const other = await at.hold(at.container.pid);
      const { plant: planted, fd } = await at.plant('/run/once.sock', other);
      closeSync(fd);
      await at.host.broker.release(other);
      expect((await at.host.broker.remove(planted)).ok).toBe(true);
      expect(await at.sh('ls /run/once.sock 2>/dev/null')).toBe('');
      expect(await at.host.broker.remove(planted)).toEqual(failure('EBADF'));
      expect(await at.host.broker.remove(0)).toEqual(failure('EBADF'));
    });

    test('happens to all that is planted when the daemon ends', async () => {
      const other = await startBroker();
      const held = await other.broker.hold(at.container.pid, 0);
      if (!held.ok) throw new Error(held.errno);
      for (const path of ['/run/left/one.sock', '/run/left/two.sock']) {
        const planted = await other.broker.listenUnix(held.value.handle, 'stream', path);
        if (planted.ok) closeSync(planted.value.fd);
      }
      closeSync(held.value.pidfd);
      expect(await at.sh('ls /run/left')).toBe('one.sock\ntwo.sock');
      await other.stop();
      expect(await at.sh('ls -A /run/left')).toBe('');
    });
  });
});
