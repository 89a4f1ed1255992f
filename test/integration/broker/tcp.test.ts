/** The TCP operations of pvx-broker, in real network namespaces: a container's, and the host's own. */
import { closeSync } from 'node:fs';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HOST } from '../../../src/broker/protocol.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { ask } from '../../support/peers.js';
import { eventually } from '../../support/wait.js';
import { failure, useBroker } from './support.js';

const ECHO = `
import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
s = socket.socket(family); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], int(sys.argv[2]))); s.listen(); s.settimeout(20)
accepted = 0
while True:
  c, _ = s.accept(); accepted += 1
  data = b''
  while chunk := c.recv(65536): data += chunk
  c.sendall(data + b' %d' % accepted); c.close()
`;

describe('pvx-broker and TCP', () => {
  const at = useBroker();
  let container: TestContainer;
  let handle = 0;

  beforeAll(async () => {
    container = await startContainer({ name: 'networked', net: true });
    handle = await at.hold(container.pid);
  });
  afterAll(() => container?.kill());

  async function echo(ip: string, port: number) {
    const child = container.run(['python3', '-c', ECHO, ip, String(port)]);
    await eventually(async () => {
      expect(await at.host.broker.probeTcp(handle, { ip, port })).toMatchObject({ ok: true });
    });
    return child;
  }

  async function connect(ip: string, port: number, on = handle): Promise<net.Socket> {
    const made = await at.host.broker.connectTcp(on, { ip, port });
    if (!made.ok) throw new Error(made.errno);
    return new net.Socket({ fd: made.value, readable: true, writable: true, allowHalfOpen: true });
  }

  test.each(['127.0.0.1', '::1'])('connects inside the container, to %s', async (ip) => {
    const child = await echo(ip, 4000);
    expect(await ask(await connect(ip, 4000), 'inside')).toBe('inside 1');
    expect(await at.host.broker.probeTcp(HOST, { ip, port: 4000 })).toEqual(
      failure('ECONNREFUSED'),
    );
    child.kill('SIGKILL');
  });

  test('a look whether somebody listens is no connection to them', async () => {
    const child = await echo('0.0.0.0', 4001);
    for (let i = 0; i < 20; i++) {
      expect((await at.host.broker.probeTcp(handle, { ip: '127.0.0.1', port: 4001 })).ok).toBe(
        true,
      );
    }
    expect(await ask(await connect('127.0.0.1', 4001), 'first')).toBe('first 1');
    child.kill('SIGKILL');
    await eventually(async () => {
      expect(await at.host.broker.probeTcp(handle, { ip: '127.0.0.1', port: 4001 })).toEqual(
        failure('ECONNREFUSED'),
      );
    });
  });

  test.each([
    ['::', '127.0.0.1', true],
    ['::', '::1', true],
    ['0.0.0.0', '::1', false],
    ['127.0.0.1', '127.0.0.2', false],
  ])('a listener on %s is found at %s: %s', async (on, ip, found) => {
    const child = container.run(['python3', '-c', ECHO, on, '4002']);
    await eventually(async () => {
      expect((await at.host.broker.probeTcp(handle, { ip: on, port: 4002 })).ok).toBe(true);
    });
    expect((await at.host.broker.probeTcp(handle, { ip, port: 4002 })).ok).toBe(found);
    child.kill('SIGKILL');
    await eventually(async () => {
      expect((await at.host.broker.probeTcp(handle, { ip: on, port: 4002 })).ok).toBe(false);
    });
  });

  test('a connection that nobody takes fails where it is waited for, not in the broker', async () => {
    const made = await at.host.broker.connectTcp(handle, { ip: '127.0.0.1', port: 4003 });
    if (!made.ok) throw new Error(made.errno);
    const socket = new net.Socket({ fd: made.value, readable: true, writable: true });
    socket.write('x');
    const [error] = await new Promise<Error[]>((resolve) =>
      socket.once('error', (found) => resolve([found])),
    );
    expect(error?.message).toMatch(/ECONNREFUSED|EPIPE|ECONNRESET/);
  });

  test('listens inside the container, below port 1024 too, and not on the host', async () => {
    const made = await at.host.broker.listenTcp(handle, { ip: '0.0.0.0', port: 80 });
    if (!made.ok) throw new Error(made.errno);
    const server = new net.Server((socket) => socket.end('served'));
    server.listen({ fd: made.value.fd });
    const { stdout } = await container.exec(['nc.openbsd', '-N', '127.0.0.1', '80'], { input: '' });
    expect(stdout).toBe('served');
    expect((await at.host.broker.probeTcp(HOST, { ip: '127.0.0.1', port: 80 })).ok).toBe(false);
    expect(await at.host.broker.listenTcp(handle, { ip: '127.0.0.1', port: 80 })).toEqual(
      failure('EADDRINUSE'),
    );
    server.close();
  });

  test('listens on the host where it is asked to', async () => {
    const made = await at.host.broker.listenTcp(HOST, { ip: '127.0.0.1', port: 4711 });
    if (!made.ok) throw new Error(made.errno);
    const server = new net.Server((socket) => socket.end('host'));
    server.listen({ fd: made.value.fd });
    expect(await ask(net.connect(4711, '127.0.0.1'), '')).toBe('host');
    expect(await ask(await connect('127.0.0.1', 4711, HOST), '')).toBe('host');
    server.close();
  });

  test('an IPv6 listener leaves the port to an IPv4 one', async () => {
    const six = await at.host.broker.listenTcp(handle, { ip: '::', port: 4004 });
    const four = await at.host.broker.listenTcp(handle, { ip: '0.0.0.0', port: 4004 });
    expect([six.ok, four.ok]).toEqual([true, true]);
    if (six.ok) closeSync(six.value.fd);
    if (four.ok) closeSync(four.value.fd);
  });

  test('an address that no interface has is EADDRNOTAVAIL; one of another shape, EINVAL', async () => {
    expect(await at.host.broker.listenTcp(handle, { ip: '192.0.2.1', port: 80 })).toEqual(
      failure('EADDRNOTAVAIL'),
    );
    expect(await at.host.broker.connectTcp(handle, { ip: '192.0.2.1', port: 80 })).toEqual(
      failure('ENETUNREACH'),
    );
    for (const address of [
      { ip: 'localhost', port: 80 },
      { ip: '127.0.0.1', port: 0 },
      { ip: '127.0.0.1', port: 65_536 },
    ]) {
      expect(await at.host.broker.listenTcp(handle, address)).toEqual(failure('EINVAL'));
    }
    expect(await at.host.broker.listenTcp(4711, { ip: '127.0.0.1', port: 80 })).toEqual(
      failure('EBADF'),
    );
  });

  test('reaches into a container with users of its own, below port 1024 too', async () => {
    const other = await startContainer({ name: 'mapped', net: true, userns: true });
    const inside = await at.hold(other.pid);
    const made = await at.host.broker.listenTcp(inside, { ip: '127.0.0.1', port: 81 });
    if (!made.ok) throw new Error(made.errno);
    const server = new net.Server((socket) => socket.end('mapped'));
    server.listen({ fd: made.value.fd });
    const { stdout } = await other.exec(['nc.openbsd', '-N', '127.0.0.1', '81'], { input: '' });
    expect(stdout).toBe('mapped');
    server.close();
    await other.kill();
    expect(await at.host.broker.connectTcp(inside, { ip: '127.0.0.1', port: 81 })).toEqual(
      failure('ESRCH'),
    );
  });
});
