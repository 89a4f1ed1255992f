/** Descriptors that come with datagrams and that can't be closed: they delay only the container that sent them. */
import { spawn } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { Peer } from '../../support/peer-process.js';
import { pythonOf } from '../../support/python.js';
import { eventually } from '../../support/wait.js';

const DRIVER = pythonOf(import.meta.url, '../../support/lingering.py', 'daemon.py', 'closing.py');
/** The broker's threads that close; and how many descriptors of one container may wait for one. */
const THREADS = 32;
const WAITING_MAX = 256;
/** Where a container listens, and where nobody does: what was to go there has the broker close last. */
const THERE = '/run/there.sock';
const NOWHERE = '/run/nowhere.sock';

/** Says what comes, and how many descriptors with it. */
const LISTENER = `
import array, os, socket
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind("${THERE}")
print("listens", flush=True)
while True:
    data, control, _, _ = listener.recvmsg(100, 4096)
    for _, _, fds in control:
        for fd in array.array("i", fds): os.close(fd)
    print(data.decode(), len(control), flush=True)
`;

describe('what a container hands over and nobody can close', () => {
  let containers: TestContainer[];
  let driver: Peer;
  let hostile: string;
  let calm: string;
  let listener: Peer;

  beforeEach(async () => {
    containers = await Promise.all(['hostile', 'calm'].map((name) => startContainer({ name })));
    driver = new Peer(
      spawn('python3', ['-c', DRIVER, `${PACKAGE_ROOT}/build/Release/pvx-broker`], {
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    );
    [hostile, calm] = (await Promise.all(containers.map(({ pid }) => tell(`hold ${pid}`)))) as [
      string,
      string,
    ];
    listener = new Peer((containers[1] as TestContainer).run(['python3', '-c', LISTENER]));
    expect(await listener.line()).toBe('listens');
  });
  afterEach(async () => {
    driver.say('let-go\n');
    await driver.end();
    await Promise.all(containers.map((container) => container.kill()));
  });

  function tell(command: string): Promise<string> {
    driver.say(`${command}\n`);
    return driver.line();
  }

  const send = (from: string, what: string, n: number) =>
    tell(`reply ${from} ${calm} ${NOWHERE} ${what} ${n}`);

  /** Sent, and what came with it is closed here and there. */
  async function goesOn(from: string): Promise<void> {
    expect(await tell(`reply ${from} ${calm} ${THERE} nothing 1`)).toBe('sent');
    expect(await listener.line()).toBe('nothing 0');
    expect(await tell(`reply ${from} ${calm} ${THERE} pipe 1`)).toBe('sent');
    expect(await listener.line()).toBe('pipe 1');
  }

  test('keeps no neighbour’s from being closed, however much it is', async () => {
    const before = Number(await tell('open'));
    expect(await send(hostile, 'hang', 2 * THREADS)).toBe('ENOENT');
    expect(await send(calm, 'pipe', 100)).toBe('ENOENT');
    expect(await tell('eof 100')).toBe('closed');
    await goesOn(calm);
    expect(await tell('eof 1')).toBe('closed');
    await tell('let-go');
    await eventually(async () => expect(Number(await tell('open'))).toBeLessThanOrEqual(before));
  });

  test('is taken up to a bound of its container’s, who still sends what carries none', async () => {
    expect(await send(hostile, 'hang', 1)).toBe('ENOENT');
    expect(await send(hostile, 'pipe', WAITING_MAX)).toBe('EBUSY ENOENT');
    const full = Number(await tell('open'));
    expect(await send(hostile, 'pipe', 1)).toBe('EBUSY');
    expect(await send(hostile, 'nothing', 2 * WAITING_MAX)).toBe('ENOENT');
    expect(await tell(`send ${hostile} ${calm} pipe 1`)).toBe('EBUSY');
    expect(await tell(`send ${hostile} ${calm} nothing 1`)).toBe('sent');
    expect(await tell(`send ${calm} ${hostile} pipe 1`)).toBe('sent');
    expect(Number(await tell('open'))).toBeLessThanOrEqual(full + WAITING_MAX);
    await goesOn(calm);
    await tell('let-go');
    await eventually(async () => expect(await send(hostile, 'pipe', 1)).toBe('ENOENT'));
  });

  test('is no account of who comes after it, under a handle of its own', async () => {
    expect(await send(hostile, 'hang', 1)).toBe('ENOENT');
    expect(await tell(`release ${hostile}`)).toBe('0');
    const again = await tell(`hold ${containers[0]?.pid}`);
    expect(again).not.toBe(hostile);
    expect(await send(again, 'pipe', 100)).toBe('ENOENT');
    expect(await tell('eof 100')).toBe('closed');
  });

  test('by more containers than there are threads leaves others waiting for no answer', async () => {
    const many = (await tell(`hold-others ${THREADS + 8}`)).split(' ');
    for (const other of many) expect(await send(other, 'hang', 1)).toBe('ENOENT');
    for (let i = 0; i < 20; i++) await goesOn(calm);
    await tell('let-go');
    expect(await tell('eof 20')).toBe('closed');
  });
});
