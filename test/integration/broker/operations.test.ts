/** The closed list of pvx-broker, each operation asked for as the daemon would, in real containers. */
import { closeSync, readFileSync, statSync } from 'node:fs';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bootTicks } from '../../../src/kernel/boot-clock.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { startHost, type TestHost } from '../../support/host.js';
import { ask, dial, startEcho } from '../../support/peers.js';
import { eventually } from '../../support/wait.js';

describe('pvx-broker', () => {
  let host: TestHost;
  let container: TestContainer;
  let handle: number;

  async function hold(pid: number, stamp = 0): Promise<number> {
    const held = await host.broker.hold(pid, stamp);
    if (!held.ok) throw new Error(held.errno);
    closeSync(held.value.pidfd);
    return held.value.handle;
  }

  async function plant(path: string, on = handle): Promise<{ fd: number; plant: number }> {
    const planted = await host.broker.listenUnix(on, 'stream', path);
    if (!planted.ok) throw new Error(planted.errno);
    return planted.value;
  }

  const sh = async (script: string) => (await container.exec(['sh', '-c', script])).stdout.trim();
  const failure = (errno: string) => ({ ok: false, errno });

  beforeAll(async () => {
    host = await startHost();
    container = await startContainer({ name: 'held' });
    handle = await hold(container.pid);
  });
  afterAll(async () => {
    await host?.stop();
    await container?.kill();
  });

  describe('holding a container', () => {
    test('says when its process started and where it lives', async () => {
      const held = await host.broker.hold(container.pid, 0);
      expect(held.ok).toBe(true);
      if (!held.ok) return;
      closeSync(held.value.pidfd);
      const stat = readFileSync(`/proc/${container.pid}/stat`, 'utf8');
      expect(held.value.startTime).toBe(
        Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]),
      );
      const { ino } = statSync(`/proc/${container.pid}/ns/mnt`, { bigint: true });
      expect(held.value.mountNamespace).toBe(ino);
      await host.broker.release(held.value.handle);
    });

    test('refuses a process that started after the graph was true, so a recycled pid reaches nobody', async () => {
      const before = bootTicks();
      await new Promise((resolve) => setTimeout(resolve, 50));
      const young = await startContainer({ name: 'young' });
      expect(await host.broker.hold(young.pid, before)).toEqual(failure('ESTALE'));
      await hold(young.pid, bootTicks());
      await young.kill();
    });

    test('refuses a process of the host, one that is gone, and what is no pid', async () => {
      expect(await host.broker.hold(process.pid, 0)).toEqual(failure('EXDEV'));
      for (const pid of [0, 0x7fff_fff0, 0xffff_ffff]) {
        expect(await host.broker.hold(pid, 0)).toEqual(failure('ESRCH'));
      }
    });

    test('answers ESRCH for a container that ended, and EBADF once it was let go', async () => {
      const other = await startContainer({ name: 'ended' });
      const held = await hold(other.pid);
      await other.kill();
      expect(await host.broker.probeUnix(held, '/run/x')).toEqual(failure('ESRCH'));
      await host.broker.release(held);
      expect(await host.broker.probeUnix(held, '/run/x')).toEqual(failure('EBADF'));
      expect(await host.broker.probeUnix(4711, '/run/x')).toEqual(failure('EBADF'));
    });

    test('does not take an old handle for whoever has its place now', async () => {
      const old = await hold(container.pid);
      await host.broker.release(old);
      const young = await hold(container.pid);
      expect(young).not.toBe(old);
      expect(await host.broker.probeUnix(old, '/')).toEqual(failure('EBADF'));
      await host.broker.release(young);
    });
  });

  describe('planting a socket', () => {
    test('makes it with mode 0666, its folders with 0755, all owned by root', async () => {
      const { plant: planted, fd } = await plant('/run/a/b/c.sock');
      expect(await sh('stat -c "%a %u %g" /run/a /run/a/b /run/a/b/c.sock')).toBe(
        '755 0 0\n755 0 0\n666 0 0',
      );
      await host.broker.remove(planted);
      closeSync(fd);
      expect(await sh('ls -A /run/a/b')).toBe('');
    });

    test('leaves no half-made name beside it, whether it succeeds or not', async () => {
      await sh('mkdir -p /run/tidy; mkdir /run/tidy/taken');
      expect(await host.broker.listenUnix(handle, 'stream', '/run/tidy/taken')).toEqual(
        failure('EEXIST'),
      );
      expect(await sh('ls -A /run/tidy')).toBe('taken');
    });

    test.each(['stream', 'seqpacket', 'dgram'] as const)(
      'replaces a stale %s socket, and only that',
      async (type) => {
        const script = `import socket,os;s=socket.socket(socket.AF_UNIX,socket.SOCK_${type.toUpperCase()});s.bind('/run/stale-${type}')`;
        await container.exec(['python3', '-c', script]);
        const { plant: planted, fd } = await plant(`/run/stale-${type}`);
        expect(await host.broker.listenUnix(handle, 'stream', `/run/stale-${type}`)).toEqual(
          failure('EADDRINUSE'),
        );
        await host.broker.remove(planted);
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
      expect(await host.broker.listenUnix(handle, 'stream', path)).toEqual(failure(errno));
    });

    test('does not follow a symlink to nowhere on the way', async () => {
      await sh('ln -s /run/nowhere /run/dangling');
      expect(await host.broker.listenUnix(handle, 'stream', '/run/dangling/x')).toEqual(
        failure('ELOOP'),
      );
      expect(await sh('ls -d /run/nowhere 2>/dev/null')).toBe('');
    });

    test('refuses a container that has the host’s own root, but for what is mounted over it', async () => {
      const { spawn } = await import('node:child_process');
      const shell = spawn(
        'unshare',
        ['-m', 'sh', '-c', 'mount -t tmpfs none /mnt; echo ready; read _'],
        { stdio: ['pipe', 'pipe', 'inherit'] },
      );
      await new Promise((resolve) => shell.stdout.once('data', resolve));
      const held = await hold(shell.pid as number);
      expect(await host.broker.listenUnix(held, 'stream', '/run/pvx-never/x.sock')).toEqual(
        failure('EXDEV'),
      );
      expect(() => statSync('/run/pvx-never')).toThrow();
      const own = await plant('/mnt/own/x.sock', held);
      closeSync(own.fd);
      expect(() => statSync('/mnt/own')).toThrow();
      await host.broker.release(held);
      shell.stdin.end();
    });

    test('belongs to the root of a user namespace, and connects as its users', async () => {
      const own = await startContainer({ name: 'users', userns: true });
      const held = await hold(own.pid);
      const { fd } = await plant('/run/made/own.sock', held);
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
        const made = await host.broker.connectUnix(held, 'stream', '/run/who', uid, gid);
        if (!made.ok) throw new Error(made.errno);
        const socket = new net.Socket({ fd: made.value, readable: true, writable: true });
        const said = await new Promise((resolve) => socket.once('data', resolve));
        expect(String(said)).toBe(`${uid} ${gid}`);
        socket.destroy();
      }
      // Nobody there has this uid.
      expect(await host.broker.connectUnix(held, 'stream', '/run/who', 70_000, 0)).toEqual(
        failure('EPERM'),
      );
      await own.kill();
    });
  });

  describe('removing', () => {
    test('takes only what was planted: another socket in its place stays', async () => {
      const { plant: planted, fd } = await plant('/run/mine.sock');
      const script =
        "import socket,os;os.unlink('/run/mine.sock');s=socket.socket(1);s.bind('/run/mine.sock')";
      await container.exec(['python3', '-c', script]);
      expect(await host.broker.remove(planted)).toEqual({ ok: true, value: undefined });
      expect(await sh('stat -c %F /run/mine.sock')).toBe('socket');
      closeSync(fd);
      await sh('rm /run/mine.sock');
    });

    test('works once, and after the container was let go', async () => {
      const other = await hold(container.pid);
      const { plant: planted, fd } = await plant('/run/once.sock', other);
      closeSync(fd);
      await host.broker.release(other);
      expect((await host.broker.remove(planted)).ok).toBe(true);
      expect(await sh('ls /run/once.sock 2>/dev/null')).toBe('');
      expect(await host.broker.remove(planted)).toEqual(failure('EBADF'));
      expect(await host.broker.remove(0)).toEqual(failure('EBADF'));
    });

    test('happens to all that is planted when the daemon ends', async () => {
      const other = await startHost();
      const held = await other.broker.hold(container.pid, 0);
      if (!held.ok) throw new Error(held.errno);
      for (const path of ['/run/left/one.sock', '/run/left/two.sock']) {
        const planted = await other.broker.listenUnix(held.value.handle, 'stream', path);
        if (planted.ok) closeSync(planted.value.fd);
      }
      closeSync(held.value.pidfd);
      expect(await sh('ls /run/left')).toBe('one.sock\ntwo.sock');
      await other.stop();
      expect(await sh('ls -A /run/left')).toBe('');
    });
  });

  describe('connecting', () => {
    test('reaches a socket at the end of 200 bytes of path, through symlinks inside the container', async () => {
      const folder = `/run/${'d'.repeat(150)}`;
      const path = `${folder}/${'s'.repeat(44)}`;
      const echo = await startEcho(host.broker, handle, path);
      await sh(`ln -s ${folder} /run/short`);
      expect(await ask(await dial(host.broker, handle, path), 'long')).toBe('long');
      const link = `/run/short/${'s'.repeat(44)}`;
      expect(await ask(await dial(host.broker, handle, link), 'linked')).toBe('linked');
      await echo.close();
    });

    test.each([
      ['/etc/passwd', 'ENOTSOCK'],
      ['/run', 'ENOTSOCK'],
      ['/dev/null', 'ENOTSOCK'],
      ['/run/nothing', 'ENOENT'],
      ['/proc/1/root/run/x', 'ELOOP'],
      ['/run/../etc', 'EINVAL'],
    ])('to %s answers %s', async (path, errno) => {
      expect(await host.broker.connectUnix(handle, 'stream', path, 0, 0)).toEqual(failure(errno));
      expect(await host.broker.probeUnix(handle, path)).toEqual(failure(errno));
    });

    test('a symlink to a socket of the host reaches nothing', async () => {
      const server = net.createServer().listen('/run/pvx-host.sock');
      await new Promise((resolve) => server.once('listening', resolve));
      await sh('ln -sf /run/pvx-host.sock /run/escape');
      expect(await host.broker.connectUnix(handle, 'stream', '/run/escape', 0, 0)).toEqual(
        failure('ENOENT'),
      );
      server.close();
    });

    test('as another uid is subject to that uid’s permissions', async () => {
      const echo = await startEcho(host.broker, handle, '/run/private/x.sock');
      await sh('chmod 600 /run/private/x.sock');
      const denied = await host.broker.connectUnix(handle, 'stream', '/run/private/x.sock', 9, 9);
      expect(denied).toEqual(failure('EACCES'));
      expect(await ask(await dial(host.broker, handle, '/run/private/x.sock'), 'root')).toBe(
        'root',
      );
      await echo.close();
    });
  });

  describe('reading', () => {
    test('gives a file whole, up to 64 KiB', async () => {
      await sh(
        'head -c 65536 /dev/zero > /run/full; head -c 65537 /dev/zero > /run/over; : > /run/empty',
      );
      const full = await host.broker.read(handle, '/run/full');
      expect(full.ok && full.value.length).toBe(65_536);
      expect(await host.broker.read(handle, '/run/over')).toEqual(failure('EFBIG'));
      const empty = await host.broker.read(handle, '/run/empty');
      expect(empty.ok && empty.value.length).toBe(0);
    });

    test('opens nothing but regular files: no FIFO makes it wait', async () => {
      await sh('mkfifo /run/fifo');
      for (const path of ['/run/fifo', '/dev/zero', '/run', '/proc/self/ns/mnt']) {
        const answer = await host.broker.read(handle, path);
        expect(answer.ok).toBe(false);
      }
    });

    test('stays inside the container', async () => {
      await sh('ln -sf /etc/hostname-of-the-host /run/link; rm -f /etc/machine-secret');
      await sh('ln -sf /../../../etc/passwd /run/up');
      const passwd = await host.broker.read(handle, '/run/up');
      const inside = await sh('cat /etc/passwd');
      expect(passwd.ok && passwd.value.toString().trim()).toBe(inside);
      expect(await host.broker.read(handle, '/run/link')).toEqual(failure('ENOENT'));
    });
  });

  test('reaches the runtime by the path that it was started with, each time anew', async () => {
    expect(await host.broker.runtime()).toEqual(failure('ENOENT'));
    const path = `/tmp/pvx-runtime-${process.pid}.sock`;
    const server = net.createServer((socket) => socket.end('runtime')).listen(path);
    await new Promise((resolve) => server.once('listening', resolve));
    const other = await startHost({ args: ['--runtime', path] });
    const made = await other.broker.runtime();
    if (!made.ok) throw new Error(made.errno);
    const socket = new net.Socket({ fd: made.value, readable: true, writable: true });
    expect(String(await new Promise((resolve) => socket.once('data', resolve)))).toBe('runtime');
    socket.destroy();
    server.close();
    await other.stop();
  });

  test('makes the control socket with mode 0660, refuses a live one, replaces a stale one, removes its own', async () => {
    const path = `/tmp/pvx-control-${process.pid}/folder/control.sock`;
    const first = await startHost({ args: ['--control', path] });
    const listener = await first.broker.hello();
    expect(listener.ok && listener.value).toBeGreaterThan(2);
    expect((statSync(path).mode & 0o777).toString(8)).toBe('660');
    const second = await startHost({ args: ['--control', path] });
    await eventually(() => expect(second.brokerProcess.exitCode).toBe(1));
    await second.stop();
    if (listener.ok) closeSync(listener.value);
    first.brokerProcess.kill('SIGKILL');
    await first.stop();
    expect(statSync(path).isSocket()).toBe(true);
    const third = await startHost({ args: ['--control', path] });
    expect((await third.broker.hello()).ok).toBe(true);
    await third.stop();
    expect(() => statSync(path)).toThrow();
  });
});
