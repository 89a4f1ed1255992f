import net from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { startBroker } from '../../support/broker.js';
import { useHostFolder } from '../../support/host-folder.js';
import { ask, dial, startEcho } from '../../support/peers.js';
import { failure, useBroker } from './support.js';

describe('pvx-broker', () => {
  const at = useBroker();
  const host = useHostFolder();

  describe('connecting', () => {
    test('reaches a socket at the end of 200 bytes of path, through symlinks inside the container', async () => {
      const folder = `/run/${'d'.repeat(150)}`;
      const path = `${folder}/${'s'.repeat(44)}`;
      const echo = await startEcho(at.host.broker, at.handle, path);
      await at.sh(`ln -s ${folder} /run/short`);
      expect(await ask(await dial(at.host.broker, at.handle, path), 'long')).toBe('long');
      const link = `/run/short/${'s'.repeat(44)}`;
      expect(await ask(await dial(at.host.broker, at.handle, link), 'linked')).toBe('linked');
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
      expect(await at.host.broker.connectUnix(at.handle, 'stream', path, 0, 0)).toEqual(
        failure(errno),
      );
      expect(await at.host.broker.probeUnix(at.handle, path)).toEqual(failure(errno));
    });

    test('a symlink to a socket of the host reaches nothing', async () => {
      const path = join(host, 'sock');
      const server = net.createServer().listen(path);
      await new Promise((resolve) => server.once('listening', resolve));
      await at.sh(`ln -sf ${path} /run/escape`);
      expect(await at.host.broker.connectUnix(at.handle, 'stream', '/run/escape', 0, 0)).toEqual(
        failure('ENOENT'),
      );
      server.close();
    });

    test('as another uid is subject to that uid’s permissions', async () => {
      const echo = await startEcho(at.host.broker, at.handle, '/run/private/x.sock');
      await at.sh('chmod 600 /run/private/x.sock');
      const denied = await at.host.broker.connectUnix(
        at.handle,
        'stream',
        '/run/private/x.sock',
        9,
        9,
      );
      expect(denied).toEqual(failure('EACCES'));
      expect(await ask(await dial(at.host.broker, at.handle, '/run/private/x.sock'), 'root')).toBe(
        'root',
      );
      await echo.close();
    });
  });

  describe('reading', () => {
    test('gives a file whole, up to 64 KiB', async () => {
      await at.sh(
        'head -c 65536 /dev/zero > /run/full; head -c 65537 /dev/zero > /run/over; : > /run/empty',
      );
      const full = await at.host.broker.read(at.handle, '/run/full');
      expect(full.ok && full.value.length).toBe(65_536);
      expect(await at.host.broker.read(at.handle, '/run/over')).toEqual(failure('EFBIG'));
      const empty = await at.host.broker.read(at.handle, '/run/empty');
      expect(empty.ok && empty.value.length).toBe(0);
    });

    test('opens nothing but regular files: no FIFO makes it wait', async () => {
      await at.sh('mkfifo /run/fifo');
      for (const path of ['/run/fifo', '/dev/zero', '/run', '/proc/self/ns/mnt']) {
        const answer = await at.host.broker.read(at.handle, path);
        expect(answer.ok).toBe(false);
      }
    });

    test('stays inside the container', async () => {
      await at.sh('ln -sf /etc/hostname-of-the-host /run/link; rm -f /etc/machine-secret');
      await at.sh('ln -sf /../../../etc/passwd /run/up');
      const passwd = await at.host.broker.read(at.handle, '/run/up');
      const inside = await at.sh('cat /etc/passwd');
      expect(passwd.ok && passwd.value.toString().trim()).toBe(inside);
      expect(await at.host.broker.read(at.handle, '/run/link')).toEqual(failure('ENOENT'));
    });
  });

  test('reaches the runtime by the path that it was started with, each time anew', async () => {
    expect(await at.host.broker.runtime()).toEqual(failure('ENOENT'));
    const path = join(host, 'runtime');
    const server = net.createServer((socket) => socket.end('runtime')).listen(path);
    await new Promise((resolve) => server.once('listening', resolve));
    const other = await startBroker({ args: ['--runtime', path] });
    const made = await other.broker.runtime();
    if (!made.ok) throw new Error(made.errno);
    const socket = new net.Socket({ fd: made.value, readable: true, writable: true });
    expect(String(await new Promise((resolve) => socket.once('data', resolve)))).toBe('runtime');
    socket.destroy();
    server.close();
    await other.stop();
  });
});
