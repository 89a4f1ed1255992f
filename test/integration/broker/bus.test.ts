/** Connections to the hosted bus: as whom, to which, and to nothing else. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { startBroker, type TestBroker } from '../../support/broker.js';
import { endBy } from '../../support/processes.js';
import { isRoot } from '../../support/requirements.js';
import { failure } from './support.js';

/** Listens where only root may look, and says of each connection uid, gid and groups, as the kernel has them. */
const LISTENER = `
import os, socket, struct, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
listener.listen()
print("ready", flush=True)
while True:
    peer, _ = listener.accept()
    _, uid, gid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    groups = peer.getsockopt(socket.SOL_SOCKET, 59, 256)  # SO_PEERGROUPS
    print(uid, gid, len(groups), flush=True)
`;

describe.runIf(isRoot())('the broker connects to the hosted bus', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pvx-broker-'));
  const path = join(folder, 'bus');
  let host: TestBroker;
  let listener: ChildProcess;
  let lines: ReturnType<typeof createInterface>;

  beforeAll(async () => {
    listener = spawn('python3', ['-c', LISTENER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    lines = createInterface(listener.stdout as NodeJS.ReadableStream);
    await once(lines, 'line');
    const link = join(folder, 'link');
    symlinkSync(path, link);
    const others = ['--bus', join(folder, 'other'), '--bus', link];
    const buses = ['--bus', path, ...others, '--bus-uids', '200000-200999'];
    host = await startBroker({ args: ['--runtime', '/nonexistent', ...buses] });
  });
  afterAll(async () => {
    await host?.stop();
    listener?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  test.each([200_000, 200_999, 65_534])(
    'as the uid %d and its gid, without any group',
    async (uid) => {
      const said = once(lines, 'line');
      const made = await host.broker.connectBus(0, uid);
      if (!made.ok) throw new Error(made.errno);
      expect(await said).toEqual([`${uid} ${uid} 0`]);
      closeSync(made.value);
    },
  );

  test.each([0, 1, 65_533, 65_535, 199_999, 201_000, 0xffff_ffff])('never as %d', async (uid) => {
    expect(await host.broker.connectBus(0, uid)).toEqual(failure('ERANGE'));
  });

  test.each([3, 8, 0xffff_ffff])('never to one that it was not given: number %d', async (bus) => {
    expect(await host.broker.connectBus(bus, 200_000)).toEqual(failure('ERANGE'));
  });

  test('not by a symbolic link in its place', async () => {
    expect(await host.broker.connectBus(2, 200_000)).toEqual(failure('ECONNREFUSED'));
  });

  test('not while it is away', async () => {
    expect(await host.broker.connectBus(1, 200_000)).toEqual(failure('ENOENT'));
    await endBy(listener);
    expect(await host.broker.connectBus(0, 200_000)).toEqual(failure('ECONNREFUSED'));
  });
});

describe('the broker does not start with', () => {
  test.each([
    ['a bus by a relative path', ['--bus', 'run/bus']],
    ['more buses than it has room for', Array(9).fill(['--bus', '/run/bus']).flat()],
    ['the uid of root among those of roles', ['--bus-uids', '0-5']],
    ['a range that is none', ['--bus-uids', '200000']],
    ['a range with something behind it', ['--bus-uids', '200000-200001,0-0']],
  ])('%s', (_, args) => {
    const { status, stderr } = spawnSync(`${PACKAGE_ROOT}/build/Release/pvx-broker`, args, {
      encoding: 'utf8',
      input: '',
    });
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringMatching(/^pvx-broker: --bus/),
    });
  });
});
