/**
 * A process of the host that merely has a mount namespace of its own, as a service with a private /tmp has, is no
 * container: of all that it sees only what is mounted over the host's root for it is its own, and no operation
 * reaches further.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startBroker, type TestBroker } from '../../support/broker.js';
import { useHostFolder } from '../../support/host-folder.js';
import { ask, dial } from '../../support/peers.js';
import { standInBroker } from '../../support/stand-ins.js';
import { RawBroker } from './raw.js';
import { failure, useBroker } from './support.js';

/** As systemd does for PrivateTmp=, ProtectSystem= and a folder that is the service's own. */
const SERVICE = `
mount --make-rprivate /
mkdir -p /tmp/private.$$
mount --bind /tmp/private.$$ /tmp
mount --bind -o ro /etc /etc
mount -t tmpfs none /mnt
ln -s /run /mnt/out
echo own > /mnt/file
echo own > /tmp/file
echo ready
read _
`;

describe('a process of the host with a mount namespace of its own', () => {
  const at = useBroker();
  let service: ChildProcess;
  let handle: number;
  const folder = useHostFolder();
  let socketPath: string;
  let server: net.Server;
  let standIn: TestBroker;
  let standInHandle: number;

  beforeAll(async () => {
    socketPath = join(folder, 'root-only.sock');
    server = net.createServer((socket) => socket.end('the host')).listen(socketPath);
    await once(server, 'listening');
    writeFileSync(join(folder, 'secret'), 'secret', { mode: 0o600 });
    service = spawn('unshare', ['--mount', 'sh', '-c', SERVICE], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(service.stdout as NodeJS.ReadableStream, 'data');
    handle = await at.hold(service.pid as number);
    standIn = await startBroker({ broker: standInBroker() });
    const held = await standIn.broker.hold(service.pid as number, 0);
    if (!held.ok) throw new Error(held.errno);
    closeSync(held.value.pidfd);
    standInHandle = held.value.handle;
  });
  afterAll(async () => {
    service?.stdin?.end();
    server?.close();
    await standIn?.stop();
    rmSync(`/tmp/private.${service.pid}`, { recursive: true, force: true });
  });

  test('gives no file of the host to be read, mounted read-only over itself or not', async () => {
    for (const path of ['/etc/shadow', '/etc/passwd', join(folder, 'secret'), '/proc/1/environ']) {
      expect(await at.host.broker.read(handle, path)).toEqual(failure('EXDEV'));
    }
    expect(await at.host.broker.read(handle, `/mnt/out${folder.slice(4)}/secret`)).toEqual(
      failure('EXDEV'),
    );
  });

  test('gives no socket of the host to be connected to, or looked for', async () => {
    const { broker } = at.host;
    for (const path of [socketPath, `/mnt/out${socketPath.slice(4)}`]) {
      expect(await broker.connectUnix(handle, 'stream', path, 0, 0)).toEqual(failure('EXDEV'));
      expect(await broker.probeUnix(handle, path)).toEqual(failure('EXDEV'));
    }
    expect(await broker.probeUnix(handle, '/run/nothing-of-the-kind')).toEqual(failure('ENOENT'));
  });

  test('gives no device of the host, which is to be asked of the host itself', async () => {
    expect(await standIn.broker.devices.find(standInHandle, 'drm', '/dev/null')).toEqual(
      failure('EXDEV'),
    );
  });

  test('has nothing planted among the files of the host', async () => {
    const { broker } = at.host;
    for (const path of ['/run/pvx-never/x', '/mnt/out/pvx-never/x', '/etc/pvx-never/x']) {
      expect(await broker.listenUnix(handle, 'stream', path)).toEqual(failure('EXDEV'));
    }
    expect(() => statSync('/run/pvx-never')).toThrow();
  });

  test('has no datagram sent to a socket of the host', async () => {
    const path = join(folder, 'dgram.sock');
    const script = `import socket;s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);s.bind('${path}');print('ready',flush=True);s.settimeout(20);print(s.recv(9))`;
    const receiver = spawn('python3', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(receiver.stdout, 'data');
    const raw = new RawBroker();
    const held = await raw.hold(service.pid as number);
    expect(await raw.reply(held, path)).toBe('EXDEV');
    await raw.stop();
    receiver.kill();
  });

  test('has what is mounted over the host’s root for it', async () => {
    const { broker } = at.host;
    for (const path of ['/mnt/file', '/tmp/file']) {
      const read = await broker.read(handle, path);
      expect(read.ok && read.value.toString()).toBe('own\n');
    }
    const { fd } = await at.plant('/mnt/own.sock', handle);
    const own = new net.Server((socket) => socket.pipe(socket)).listen({ fd });
    expect(await ask(await dial(broker, handle, '/mnt/own.sock'), 'own')).toBe('own');
    expect((await broker.probeUnix(handle, '/mnt/own.sock')).ok).toBe(true);
    own.close();
  });
});
