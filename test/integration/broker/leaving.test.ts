/**
 * The end of the broker while a container's file system hangs. What hangs stays behind, as a zombie that the kernel
 * keeps until that file system answers; it keeps nothing from the daemon that comes next, nor from other containers.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { mountStalling } from '../../support/file-systems.js';
import { startHost, type TestHost } from '../../support/host.js';
import { Peer } from '../../support/peer-process.js';
import { endOf, hasEnded, statusOf } from '../../support/processes.js';
import { pythonOf } from '../../support/python.js';
import { fuse } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

/** A daemon whose first thread has ended while another has not, as one that hangs in a close does. */
const HALF_DEAD = `${pythonOf(import.meta.url, 'daemon.py')}
import ctypes, sys, threading
daemon = Daemon(sys.argv[1:])
threading.Thread(target=threading.Event().wait).start()
print(daemon.broker.pid, flush=True)
sys.stdin.readline()
ctypes.CDLL(None).syscall(${process.arch === 'arm64' ? 93 : 60}, 0)
`;

describe.runIf(fuse())('the end of pvx-broker', () => {
  let folder: string;
  let control: string;
  let hostile: TestContainer[];
  let other: TestContainer;
  let host: TestHost;
  let hang: (() => void)[];
  let killed: boolean;

  const start = () => startHost({ args: ['--control', control] });

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

  /** The next daemon's broker has the control socket. */
  async function expectNext(): Promise<void> {
    const next = await start();
    const listener = await next.broker.hello();
    expect(listener.ok && listener.value).toBeGreaterThan(2);
    if (listener.ok) closeSync(listener.value);
    await next.stop();
  }

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pvx-leaving-'));
    control = join(folder, 'control.sock');
    host = await start();
    killed = false;
    const names = ['one', 'two', 'three'];
    hostile = await Promise.all(names.map((name) => startContainer({ name })));
    hang = await Promise.all(hostile.map((container) => mountStalling(container, '/run/pv')));
    other = await startContainer({ name: 'other' });
  });
  afterEach(async () => {
    killDaemon();
    await Promise.all(hostile.map((container) => container.kill()));
    await endOf(host.brokerProcess);
    await other.kill();
    rmSync(folder, { recursive: true });
  });

  /** As the kernel ends a daemon: nothing is waited for. */
  function killDaemon(): void {
    if (killed) return;
    killed = true;
    host.relay.stop();
    host.broker.close();
  }

  test('leaves behind what hangs, and removes all else', async () => {
    for (const container of hostile) await plant(container, '/run/pv/', 5);
    await plant(other, '/run/left/', 5);
    const listener = await host.broker.hello();
    for (const stop of hang) stop();
    killDaemon();
    await eventually(() => expect(existsSync(control)).toBe(false));
    const look = () => other.exec(['ls', '-A', '/run/left']);
    await eventually(async () => expect((await look()).stdout).toBe(''));
    if (listener.ok) closeSync(listener.value);
    await eventually(() => {
      expect(statusOf(host.brokerProcess.pid as number)('State')).toMatch(/^Z/);
    });
    await expectNext();
    expect(hasEnded(host.brokerProcess)).toBe(false); // it did hang
  });

  test('by SIGTERM is told to the daemon at once, whatever hangs', async () => {
    await plant(hostile[0] as TestContainer, '/run/pv/');
    hang[0]?.();
    const lost = new Promise<void>((resolve) => {
      host.broker.onLost = resolve;
    });
    host.brokerProcess.kill('SIGTERM');
    await lost;
    killDaemon();
    await eventually(() => expect(existsSync(control)).toBe(false));
  });

  test('by SIGKILL, in the middle of what hangs, keeps the control socket from nobody', async () => {
    const handle = await plant(hostile[0] as TestContainer, '/run/pv/');
    const listener = await host.broker.hello();
    hang[0]?.();
    void host.broker.probeUnix(handle, '/run/pv/0');
    await eventually(() => expect(threadsThatHang(host.brokerProcess)).toBeGreaterThan(0));
    host.brokerProcess.kill('SIGKILL');
    await eventually(() => {
      expect(statusOf(host.brokerProcess.pid as number)('State')).toMatch(/^Z/);
    });
    // Nor does a daemon that hangs likewise, and still has the listener.
    await expectNext();
    if (listener.ok) closeSync(listener.value);
  });

  test('comes with the first thread of the daemon, whatever its others hang in', async () => {
    await plant(other, '/run/unused');
    const path = join(folder, 'half.sock');
    const argv = [`${PACKAGE_ROOT}/build/Release/pvx-broker`, '--control', path];
    const daemon = new Peer(
      spawn('python3', ['-c', HALF_DEAD, ...argv], { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    const pid = Number(await daemon.line());
    await eventually(() => expect(existsSync(path)).toBe(true));
    daemon.say('\n');
    await eventually(() => expect(existsSync(path)).toBe(false));
    daemon.kill();
    await daemon.end();
    await eventually(() => expect(() => process.kill(pid, 0)).toThrow());
  });
});

/** Of its threads, those that wait for the answer of a FUSE file system. */
function threadsThatHang({ pid }: ChildProcess): number {
  return readdirSync(`/proc/${pid}/task`).filter((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/wchan`, 'utf8').includes('request_wait_answer'),
  ).length;
}
