/**
 * A kernel without a watch or memory left for epoll: the relay looks at its connections by time, what is served from
 * JavaScript fails, the daemon does not.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TARGET, UnixPair } from '../../e2e/unix/support.js';
import { request, TestDaemon } from '../../support/daemon.js';
import { hasEnded } from '../../support/processes.js';
import { pythonOf } from '../../support/python.js';
import { isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

const FAULTY = pythonOf(import.meta.url, 'seccomp.py', 'faulty.py');
const folder = mkdtempSync(join(tmpdir(), 'pvx-watches-'));
const SWITCH = join(folder, 'errno');

/** Sends each line that it reads over one connection, and prints what comes back. */
const TALKER = `
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
for line in sys.stdin:
    client.sendall(line.encode())
    print(client.recv(100).decode().strip(), flush=True)
`;

class FaultyPair extends UnixPair {
  protected override makeDaemon(args: readonly string[]): TestDaemon {
    return new TestDaemon(args, { prefix: ['python3', '-c', FAULTY, SWITCH] });
  }
}

describe.runIf(isRoot())('a daemon that can watch no more descriptors', () => {
  const pair = new FaultyPair([]);
  beforeAll(async () => {
    await pair.setUp();
    await pair.serve('serve-echo');
    await pair.establish();
  });
  afterAll(async () => {
    await pair.tearDown();
    rmSync(folder, { recursive: true });
  });

  test.each(['ENOSPC', 'ENOMEM'])(
    'lives with %s, says so, keeps what it has, and serves again',
    async (errno) => {
      const { daemon } = pair;
      const talker = pair.talk(pair.consumer, ['python3', '-c', TALKER, TARGET]);
      talker.say('one\n');
      expect(await talker.line()).toBe('one');
      writeFileSync(SWITCH, errno);
      process.kill(daemon.pid, 'SIGHUP');
      await eventually(() => expect(daemon.log).toContain(`can't be watched: ${errno}`));
      await expect(request(daemon.control, '/health')).rejects.toThrow();
      expect(await pair.ask('ask', TARGET, 'hello')).toBe('hello');
      talker.say('two\n');
      expect(await talker.line()).toBe('two');
      expect(hasEnded(daemon.process as never)).toBe(false);
      rmSync(SWITCH);
      await eventually(async () => expect(await pair.ask('ask', TARGET, 'hello')).toBe('hello'));
      talker.say('three\n');
      expect(await talker.line()).toBe('three');
      daemon.set(pair.link(), pair.link({ name: 'other', target: '/run/other.sock' }));
      await daemon.until({ raw: 'established', other: 'established' });
      daemon.set(pair.link());
      await daemon.until({ raw: 'established' });
      talker.kill();
    },
  );

  test('holds a container whose end it can watch only later, and sees it', async () => {
    const { daemon } = pair;
    daemon.set();
    await daemon.until({});
    const told = () => daemon.log.split('"state":').length;
    const before = told();
    const asked = daemon.hold();
    await asked.asked;
    writeFileSync(SWITCH, 'ENOSPC');
    asked.answer(pair.link());
    daemon.release();
    await eventually(() => expect(told()).toBeGreaterThan(before));
    rmSync(SWITCH);
    daemon.set(pair.link());
    await daemon.until({ raw: 'established' });
    await pair.consumer.kill();
    await eventually(async () => expect((await daemon.shown())[0]?.state).not.toBe('established'));
    await pair.consumer.start();
  });
});
