/**
 * What docs/security.md says of the broker, a test each: of its privileges, and of what its closed list can't be used
 * for. What a process of the host, a hanging file system or a user namespace gets has a file of its own beside this.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { brokerSources } from '../../support/compile.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { mountUnflushed } from '../../support/file-systems.js';
import { describeFilter } from '../../support/filter/filter.js';
import { countOpenAtRest, countOpenFiles, openFiles } from '../../support/open-files.js';
import { Peer } from '../../support/peer-process.js';
import { statusOf } from '../../support/processes.js';
import { pythonOf } from '../../support/python.js';
import { fuse } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { RawBroker } from './raw.js';

const PIDFD = pythonOf(import.meta.url, 'daemon.py', 'pidfd.py');

describeFilter('pvx-broker', {
  sources: brokerSources(),
  calls: 'calls.c',
  letThrough: [
    ...['tgkill itself', 'openat to read', 'openat2 within a root', 'mknodat of DRM'],
    ...['mknodat of input', 'open_tree of the node', 'fsmount of its own', 'setns of a network'],
    ...['socket of unix', 'socket of TCP'],
  ],
  refusedAnyway: ['io_uring_setup', 'bpf', 'userfaultfd', 'reboot', 'init_module'],
});

describe('pvx-broker', () => {
  let broker: RawBroker;
  let container: TestContainer;
  let handle: number;

  beforeAll(async () => {
    broker = new RawBroker();
    container = await startContainer({ name: 'claims' });
    handle = await broker.hold(container.pid);
  });
  afterAll(async () => {
    await container.kill(); // first: what hangs in its file systems ends with it
    expect(await broker.stop()).toBe(0);
  });

  test('keeps eleven capabilities, no new privileges, and a filter on every thread', () => {
    for (const thread of readdirSync(`/proc/${broker.pid}/task`)) {
      const field = statusOf(broker.pid, Number(thread));
      const effective = BigInt(`0x${field('CapEff')}`).toString(2);
      expect(effective.replaceAll('0', '').length).toBe(11);
      expect(field('CapBnd')).toBe(field('CapEff'));
      expect(field('CapInh')).toBe('0000000000000000');
      expect(field('NoNewPrivs')).toBe('1');
      expect(field('Seccomp')).toBe('2');
    }
  });

  test('keeps no stream open that its end could be waited for at', () => {
    const streams = openFiles(broker.pid).filter(({ fd }) => fd <= 2);
    expect(streams.map(({ target }) => target)).toEqual(Array(3).fill('/dev/null'));
  });

  test('has no more of a container open than what it is held by', async () => {
    await countOpenAtRest(broker.pid);
    for (const { target } of openFiles(broker.pid)) expect(target).not.toContain(container.rootDir);
  });

  test('closes whatever descriptors come with a datagram, those that the kernel adds too', async () => {
    const script =
      "import socket;s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);s.bind('/run/answers');print('ready',flush=True);s.settimeout(20);\nwhile 1: s.recv(99)";
    const receiver = container.run(['python3', '-c', script]);
    await once(receiver.stdout as NodeJS.ReadableStream, 'data');
    const argv = [
      `${PACKAGE_ROOT}/build/Release/pvx-broker`,
      String(container.pid),
      '/run/answers',
    ];
    const daemon = new Peer(
      spawn('python3', ['-c', PIDFD, ...argv], { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    const pid = Number(await daemon.line());
    const before = await countOpenAtRest(pid);
    daemon.say('\n');
    expect(await daemon.line()).toBe('0');
    await eventually(() => expect(countOpenFiles(pid)).toBe(before)); // they are closed in their own time
    await daemon.end();
    receiver.kill('SIGKILL');
  });

  test('sends a datagram’s answer as its client, to nobody else', async () => {
    const script =
      "import socket,os;s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);s.bind('/run/root-only');os.chmod('/run/root-only',0o600);print('ready',flush=True);s.recv(99)";
    const receiver = container.run(['python3', '-c', script]);
    await once(receiver.stdout as NodeJS.ReadableStream, 'data');
    expect(await broker.reply(handle, '/run/root-only', [], 7)).toBe('EACCES');
    expect(await broker.reply(handle, '/run/root-only')).toBeNull();
    receiver.kill('SIGKILL');
  });

  test.runIf(fuse())('is held up by no descriptor that can’t be closed', async () => {
    await mountUnflushed(container, '/run/unflushed');
    const path = `/proc/${container.pid}/root/run/unflushed/file`;
    for (let i = 0; i < 40; i++) {
      const file = openSync(path, 'r');
      expect(await broker.reply(handle, '/run/nothing', [file])).toBe('ENOENT');
    }
    expect((await broker.ask('PROBE_UNIX', { container: handle, path: '/run/x' })).errno).toBe(
      'ENOENT',
    );
  });
});
