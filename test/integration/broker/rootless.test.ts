/**
 * The broker as root of a user namespace alone: it may enter what its containers made, but never again what it came
 * with. What takes the way back is refused before the first step, and nothing else is lost.
 */
import { closeSync, readlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HOST } from '../../../src/broker/protocol.js';
import { bindError, connectError, listenError } from '../../../src/host/errno.js';
import { startBroker, type TestBroker } from '../../support/broker.js';
import { unixLink } from '../../support/link.js';
import { childrenOf } from '../../support/processes.js';
import { userNamespaces } from '../../support/requirements.js';
import { standInBroker } from '../../support/stand-ins.js';
import { eventually } from '../../support/wait.js';
import { failure } from './support.js';

/** A container of that namespace with a network of its own, and the broker in the place of this shell. */
const BESIDE = `
unshare --mount --net sh -c 'mount -t tmpfs none /mnt && mkdir /mnt/ready && exec sleep 1000' &
exec "$0" "$@"
`;

describe.runIf(userNamespaces())('pvx-broker as root of a user namespace', () => {
  let host: TestBroker;
  let container: number;
  let handle: number;

  beforeEach(async () => {
    const args = ['--user', '--map-root-user', 'sh', '-c', BESIDE, standInBroker()];
    host = await startBroker({ broker: 'unshare', args });
    container = await eventually(() => {
      const [child = 0] = childrenOf(host.brokerProcess.pid as number);
      if (readlinkSync(`/proc/${child}/exe`).endsWith('sleep')) return child;
      throw new Error('the container is not there yet');
    });
    const held = await host.broker.hold(container, 0);
    if (!held.ok) throw new Error(held.errno);
    closeSync(held.value.pidfd);
    handle = held.value.handle;
  });
  afterEach(async () => {
    process.kill(container, 'SIGKILL');
    await host.stop();
  });

  test('reaches no network of a container’s own, says so, and goes on', async () => {
    const { broker } = host;
    const address = { ip: '127.0.0.1', port: 4005 };
    expect(await broker.probeTcp(handle, address)).toEqual(failure('ENOLINK'));
    expect(await broker.connectTcp(handle, address)).toEqual(failure('ENOLINK'));
    expect(await broker.listenTcp(handle, address)).toEqual(failure('ENOLINK'));
    // The names that the kernel picks for datagram sockets belong to a network, too.
    expect(await broker.listenUnix(handle, 'dgram', '/mnt/d.sock')).toEqual(failure('ENOLINK'));
    const planted = await broker.listenUnix(handle, 'stream', '/mnt/s.sock');
    if (planted.ok) closeSync(planted.value.fd);
    expect(planted.ok).toBe(true);
    expect(await broker.connectUnix(handle, 'dgram', '/mnt/s.sock', 0, 0)).toEqual(
      failure('ENOLINK'),
    );
    expect(await broker.probeTcp(HOST, address)).toEqual(failure('ECONNREFUSED'));
    expect(host.brokerProcess.exitCode).toBeNull();
  });

  test('plants nothing as a user that it does not have, and goes on', async () => {
    const found = await host.broker.devices.find(HOST, 'drm', '/dev/null');
    if (!found.ok) throw new Error(found.errno);
    const planted = await host.broker.devices.plant(
      handle,
      'drm',
      '/mnt/n',
      44,
      44,
      found.value.fd,
    );
    expect(planted).toEqual(failure('EPERM'));
    expect(await host.broker.connectUnix(handle, 'stream', '/mnt/s.sock', 7, 7)).toEqual(
      failure('ENOENT'),
    );
    expect(await host.broker.hello()).toMatchObject({ ok: true });
  });

  test('is told to people as what helps', () => {
    const link = unixLink({ type: 'tcp', socket: '127.0.0.1:80' });
    const told = [connectError, bindError, listenError].map((tell) => tell(link, 'ENOLINK'));
    for (const error of [...told, connectError(unixLink(), 'ENOLINK')]) {
      expect(error.code).toBe('network-closed');
      expect(error.message).toMatch(/it has a network of its own, which could not be left again/);
    }
  });
});
