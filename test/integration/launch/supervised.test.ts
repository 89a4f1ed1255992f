/** The real thing: a daemon, a relay, a supervisor that are killed, and what is left. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { TARGET, UnixPair } from '../../e2e/unix/support.js';
import { childrenOf, descendantsOf, statusOf } from '../../support/processes.js';
import { isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

const runs = (pid: number) => {
  try {
    return !statusOf(pid)('State')?.startsWith('Z');
  } catch {
    return false;
  }
};

describe.runIf(isRoot())('pv-xconnect with a link', () => {
  const pair = new UnixPair([]);
  beforeAll(() => pair.setUp());
  afterAll(() => pair.tearDown());
  beforeEach(async () => {
    if (!runs(pair.daemon.pid)) await pair.daemon.launch();
    await pair.serve('serve-echo');
    await pair.establish();
  });
  afterEach(() => pair.reset());

  async function works(): Promise<void> {
    await eventually(async () => expect(await pair.ask('ask', TARGET, 'hello')).toBe('hello'));
    await pair.daemon.until({ raw: 'established' });
  }

  test('goes on in the same process, with the same relay and broker, when the daemon is killed', async () => {
    const { daemon } = pair;
    const [pid, daemonPid, relayPid, brokerPid] = [
      ...[daemon.pid, daemon.daemonPid, daemon.relayPid, daemon.brokerPid],
    ];
    const uid = statusOf(daemonPid as number)('Uid');
    process.kill(daemonPid as number, 'SIGKILL');
    await eventually(() => expect([0, daemonPid]).not.toContain(daemon.daemonPid));
    await works();
    expect([daemon.pid, daemon.relayPid, daemon.brokerPid]).toEqual([pid, relayPid, brokerPid]);
    expect(statusOf(daemon.daemonPid)('Uid')).toBe(uid);
    expect(statusOf(daemon.pid)('Name')).toBe('pv-xconnect');
    expect(childrenOf(daemon.pid)).toHaveLength(3); // no zombie
  });

  test('has another relay, and its links again, when the relay is killed', async () => {
    const { daemon } = pair;
    const { pid, relayPid } = daemon;
    process.kill(relayPid, 'SIGKILL');
    await eventually(() => expect([0, relayPid]).not.toContain(daemon.relayPid));
    await works();
    expect(daemon.pid).toBe(pid);
    await eventually(() => expect(childrenOf(pid)).toHaveLength(3));
  });

  test('leaves no process and nothing planted when it is killed', async () => {
    const { pid } = pair.daemon;
    const children = descendantsOf(pid);
    expect(await pair.daemon.kill('SIGKILL')).toBe('SIGKILL');
    await eventually(() => expect(children.filter(runs)).toEqual([]));
    const { code } = await pair.consumer.exec(['test', '-e', TARGET]);
    expect(code).toBe(1);
  });

  test('removes its control socket and ends with 0 when it is told to', async () => {
    const children = descendantsOf(pair.daemon.pid);
    expect(await pair.daemon.kill('SIGTERM')).toBe(0);
    expect(children.filter(runs)).toEqual([]);
    await expect(pair.daemon.shown()).rejects.toThrow('ENOENT');
  });
});
