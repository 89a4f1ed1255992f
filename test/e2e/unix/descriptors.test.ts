/** Descriptors that are sent and not read: the kernel has room for a limited number, and all links share it. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { TARGET, useUnixPair } from './support.js';

const OTHER = { name: 'other', target: '/run/pv/services/other.sock' };
const ECHO = '/run/example/other.sock';

/** Sends what it can over many connections, and closes each at once or keeps all of them. */
const leave = (keep: boolean) => `
import array, os, socket, sys
rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [os.open("/dev/null", 0)] * 250))]
kept = []
for _ in range(200):
    client = socket.socket(socket.AF_UNIX)
    client.connect("${TARGET}")
    client.settimeout(0.01)
    try:
        for _ in range(4):
            client.sendmsg([b"x"], rights)
    except OSError:
        pass
    if ${keep ? 'True' : 'False'}:
        kept.append(client)
    else:
        client.close()
print("sent", flush=True)
sys.stdin.read()
`;

describe('descriptors that nobody reads', () => {
  beforeAll(() => {
    // The kernel's limit for descriptors under way is that of open files: one that the test can reach.
    execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=4096:4096']);
  });
  const pair = useUnixPair('--drain', '0', '--patience', '2');
  afterEach(() => pair.clear());

  test.each([
    ['kept', true],
    ['closed at once', false],
  ])('leave room for those of other links, in connections that are %s', async (_how, keep) => {
    const hold = await pair.serve('serve-hold');
    await pair.start(pair.provider, 'serve-echo', ECHO);
    pair.daemon.set(pair.link(), pair.link({ ...OTHER, socket: ECHO }));
    await pair.daemon.until({ raw: 'established', other: 'established' });
    const client = pair.talk(pair.consumer, ['python3', '-c', leave(keep)]);
    expect(await client.line()).toBe('sent');
    expect(await pair.ask('fds', OTHER.target, '20', '20', '9')).toMatch(/^ok/);
    client.kill();
    hold.kill();
    await pair.daemon.untilActive(0, 'raw');
  });
});
