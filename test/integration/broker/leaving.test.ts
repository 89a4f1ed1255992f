/**
 * The end of the broker: by SIGTERM and with its parent, and not with its channels; and while a container's file system
 * hangs. What hangs stays behind, as a zombie that the kernel keeps until that file system answers; other containers are
 * kept from nothing.
 */
import { spawn } from 'node:child_process';
import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { startBroker, type TestBroker } from '../../support/broker.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { mountStalling } from '../../support/file-systems.js';
import { Peer } from '../../support/peer-process.js';
import { endOf, hasEnded, statusOf } from '../../support/processes.js';
import { pythonOf } from '../../support/python.js';
import { fuse } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

/** Tells the pid of its broker. */
const PARENT = `${pythonOf(import.meta.url, 'daemon.py')}
import sys
daemon = Daemon(sys.argv[1:])
print(daemon.broker.pid, flush=True)
sys.stdin.readline()
`;

describe.runIf(fuse())('the end of pvx-broker', () => {
  let hostile: TestContainer[];
  let other: TestContainer;
  let host: TestBroker;
  let hang: (() => void)[];

  async function plant(on: TestContainer, path: string, count = 1): Promise<number> {
    const held = await host.broker.hold(on.pid, 0);
    if (!held.ok) throw new Error(held.errno);
    closeSync(held.value.pidfd);
    for (let i = 0; i < count; i++) {
      const planted = await host.broker.listenUnix(held.value.handle, 'stream', `${path}${i}`);
      if (!planted.ok) throw new Error(planted.errno);
      closeSync(planted.value.fd);
    }
    return held.value.handle;
  }

  const isZombie = () =>
    eventually(() => {
      expect(statusOf(host.brokerProcess.pid as number)('State')).toMatch(/^Z/);
    });

  beforeEach(async () => {
    host = await startBroker();
    const names = ['one', 'two', 'three'];
    hostile = await Promise.all(names.map((name) => startContainer({ name })));
    hang = await Promise.all(hostile.map((container) => mountStalling(container, '/run/pv')));
    other = await startContainer({ name: 'other' });
  });
  afterEach(async () => {
    host.brokerProcess.kill();
    host.leave();
    await Promise.all(hostile.map((container) => container.kill()));
    await endOf(host.brokerProcess);
    await other.kill();
  });

  test('leaves behind what hangs, and removes all else', async () => {
    for (const container of hostile) await plant(container, '/run/pv/', 5);
    await plant(other, '/run/left/', 5);
    for (const stop of hang) stop();
    host.brokerProcess.kill();
    const look = () => other.exec(['ls', '-A', '/run/left']);
    await eventually(async () => expect((await look()).stdout).toBe(''));
    await isZombie();
    expect(hasEnded(host.brokerProcess)).toBe(false); // it did hang
  });

  test('is told to the daemon at once, whatever hangs', async () => {
    await plant(hostile[0] as TestContainer, '/run/pv/');
    hang[0]?.();
    const lost = new Promise<void>((resolve) => {
      host.broker.onLost = resolve;
    });
    host.brokerProcess.kill();
    await lost;
  });

  test('by SIGKILL, in the middle of what hangs, keeps nobody waiting', async () => {
    const handle = await plant(hostile[0] as TestContainer, '/run/pv/');
    hang[0]?.();
    const pid = host.brokerProcess.pid as number;
    void host.broker.probeUnix(handle, '/run/pv/0');
    await eventually(() => expect(threadsIn(pid, 'request_wait_answer')).toBeGreaterThan(0));
    host.brokerProcess.kill('SIGKILL');
    await isZombie();
  });

  test('comes with its parent', async () => {
    const argv = [`${PACKAGE_ROOT}/build/Release/pvx-broker`];
    const parent = new Peer(
      spawn('python3', ['-c', PARENT, ...argv], { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    const pid = Number(await parent.line());
    await eventually(() => expect(statusOf(pid)('Seccomp')).toBe('2')); // it serves
    parent.kill();
    await parent.end();
    await eventually(() => expect(() => process.kill(pid, 0)).toThrow());
  });

  test('does not come with the ends of its channels, which keep no thread busy', async () => {
    const pid = host.brokerProcess.pid as number;
    await plant(other, '/run/left/');
    await eventually(() => expect(threadsIn(pid, 'skb_wait')).toBe(2)); // one for each channel
    host.leave();
    await eventually(() => expect(threadsIn(pid, 'skb_wait')).toBe(0)); // for a request
    await eventually(() => expect(threadsIn(pid, 'poll_schedule')).toBe(2)); // for ever
    expect((await other.exec(['ls', '-A', '/run/left'])).stdout).toBe('0\n');
  });
});

/** How many of its threads wait in a function of the kernel with such a name. */
function threadsIn(pid: number, where: string): number {
  return readdirSync(`/proc/${pid}/task`).filter((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/wchan`, 'utf8').includes(where),
  ).length;
}
