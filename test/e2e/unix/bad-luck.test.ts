/** Bad luck on purpose: full tables, killed processes, recycled pids. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { startContainer } from '../../support/container.js';
import { countOpenFiles } from '../../support/open-files.js';
import { statusOf } from '../../support/processes.js';
import { eventually, nextTick, pause } from '../../support/wait.js';
import { TARGET, useUnixPair } from './support.js';

/** Ends of pipes that the relay keeps for its next splice; whether it needs them is a matter of timing. */
const RELAY_PIPES = 10;

const CAP_KILL = 5n;
const CAP_SETPCAP = 8n;

/** As the process's own user: root without CAP_SYS_RESOURCE may not limit others. */
function limitOpenFiles(pid: number, limit: number): void {
  const user = String(statSync(`/proc/${pid}`).uid);
  const become = ['--reuid', user, '--regid', user, '--clear-groups'];
  execFileSync('setpriv', [...become, 'prlimit', '--pid', String(pid), `--nofile=${limit}:`]);
}

/** Does something while the process can open only `free` more files. */
async function withFullTable<T>(pid: number, free: number, what: () => Promise<T>): Promise<T> {
  const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
  const limit = Number(/Max open files\s+(\d+)/.exec(limits)?.[1]);
  limitOpenFiles(pid, countOpenFiles(pid) + free);
  try {
    return await what();
  } finally {
    limitOpenFiles(pid, limit);
  }
}

describe('bad luck', () => {
  const pair = useUnixPair('--drain', '0', '--patience', '2');
  afterEach(() => pair.clear());

  /** A daemon that ended, started again, has its link again at once. */
  async function expectBack(): Promise<void> {
    await pair.daemon.launch();
    await pair.daemon.until({ raw: 'established' }, 1_000);
    expect(await pair.ask('ask', TARGET, 'back')).toBe('back');
  }

  test.each(['daemonPid', 'relayPid', 'brokerPid'] as const)(
    'a full descriptor table (%s) is survived, and service resumes by itself',
    async (who) => {
      await pair.serve('serve-echo');
      await pair.establish();
      expect(await pair.ask('ask', TARGET, 'before')).toBe('before');
      const pid = pair.daemon[who];
      const { answer } = await withFullTable(pid, 0, async () => {
        const waiting = pair.ask('ask', TARGET, 'meanwhile').catch(({ message }) => message);
        await pause(500); // it is tried, and fails, in vain: nothing tells how often
        return { answer: waiting };
      });
      expect(await answer).toBe('meanwhile');
      expect(await pair.ask('ask', TARGET, 'after')).toBe('after');
      expect(pair.daemon.process?.exitCode).toBeNull();
    },
  );

  test('a link that comes while the broker has no descriptor left is made later', async () => {
    await pair.serve('serve-echo');
    // One is left, for the connection to the runtime that gets the graph.
    await withFullTable(pair.daemon.brokerPid, 1, async () => {
      pair.daemon.set(pair.link());
      const [shown] = await pair.daemon.until({ raw: 'failed' });
      expect(shown?.last_error?.code).toBe('limit-reached');
    });
    await pair.daemon.until({ raw: 'established' });
  });

  test('no descriptor is left behind by connections and links that came and went', async () => {
    await pair.serve('serve-echo');
    const round = async () => {
      await pair.establish();
      await pair.ask('fds', TARGET, '50', '20', '9');
      const client = await pair.start(pair.consumer, 'hold', TARGET, '50');
      client.kill();
      await pair.daemon.untilActive(0);
      await pair.daemon.clear();
    };
    await round();
    const { daemonPid, relayPid, brokerPid } = pair.daemon;
    const before = [daemonPid, relayPid, brokerPid].map((pid) => countOpenFiles(pid));
    for (let i = 0; i < 3; i++) await round();
    await eventually(() => {
      const now = [daemonPid, relayPid, brokerPid].map((pid) => countOpenFiles(pid));
      expect(now[0]).toBeLessThanOrEqual(before[0] as number);
      expect(now[1]).toBeLessThanOrEqual((before[1] as number) + RELAY_PIPES);
      expect(now[2]).toBeLessThanOrEqual(before[2] as number);
    });
  });

  test('a peer that is gone at every moment of a transfer never ends the daemon', async () => {
    for (let i = 0; i < 10; i++) {
      const provider = await pair.serve('serve-flood', String(1 << 26));
      await pair.establish();
      const client = pair.start(pair.consumer, 'both', TARGET, String(1 << 26));
      await pause(20 * i); // another moment of the transfer each time
      if (i % 2 === 0) provider.kill();
      else pair.reset();
      await Promise.race([client, pause(200)]); // half of the clients have an end, the others none
      pair.reset();
    }
    await pair.serve('serve-echo');
    await pair.establish();
    expect(await pair.ask('ask', TARGET, 'alive')).toBe('alive');
    expect(pair.daemon.process?.exitCode).toBeNull();
  });

  test('a pid that was given to another process after the graph was made reaches nobody', async () => {
    await pair.serve('serve-echo');
    const late = { consumer: 'late', target: '/run/stolen.sock' };
    const question = pair.daemon.hold();
    await question.asked;
    await nextTick();
    const recycled = await startContainer({ name: 'recycled' });
    try {
      // The answer names a pid whose process is younger than the question: not the one that was meant. Asked
      // again, the runtime knows better.
      pair.daemon.graph = [pair.link({ ...late, consumer_pid: 0 })];
      pair.daemon.release();
      question.answer(pair.link({ ...late, consumer_pid: recycled.pid }));
      await eventually(() => expect(pair.daemon.log).toContain('container-gone'));
      await eventually(async () => {
        const [shown] = await pair.daemon.until({ raw: 'waiting' });
        expect(shown?.last_error?.code).toBe('consumer-not-running');
      });
      expect((await recycled.exec(['test', '-e', late.target])).code).not.toBe(0);
    } finally {
      await recycled.kill();
    }
  });

  test('a daemon that was killed leaves no socket behind, and its successor makes every link anew', async () => {
    await pair.serve('serve-echo');
    await pair.establish();
    const flood = pair.start(pair.consumer, 'flood', TARGET, String(1 << 28)).catch(() => null);
    await pair.daemon.kill();
    await flood;
    await eventually(async () => {
      expect((await pair.consumer.exec(['test', '-e', TARGET])).code).not.toBe(0);
    });
    await expectBack();
  });

  test('a daemon whose broker was killed ends, so that its runtime starts both anew', async () => {
    await pair.serve('serve-echo');
    await pair.establish();
    const exited = pair.daemon.exited();
    process.kill(pair.daemon.brokerPid, 'SIGKILL');
    expect(await exited).toBe(1);
    expect(pair.daemon.log).toContain('pvx-broker');
    // Nobody removed the socket: it is stale, and replaced.
    expect((await pair.consumer.exec(['test', '-S', TARGET])).code).toBe(0);
    await expectBack();
  });

  test('both killed at once is no different', async () => {
    await pair.serve('serve-echo');
    await pair.establish();
    const exited = pair.daemon.exited();
    const { brokerPid, pid } = pair.daemon;
    process.kill(brokerPid, 'SIGKILL');
    process.kill(pid, 'SIGKILL');
    await exited;
    await expectBack();
  });

  test.each(['daemonPid', 'relayPid'] as const)(
    'what is no broker (%s) has no privilege left, and no thread that ever had one',
    (which) => {
      const pid = pair.daemon[which];
      const [uid] = statusOf(pid)('Uid')?.split('\t') ?? [];
      expect(Number(uid)).toBeGreaterThanOrEqual(0x7f00_0000);
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const field = statusOf(pid, Number(thread));
        expect(field('Uid')).toBe(Array(4).fill(uid).join('\t'));
        expect(field('Groups')).toBe('');
        for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
          expect([set, field(set)]).toEqual([set, '0000000000000000']);
        }
        expect(field('NoNewPrivs')).toBe('1');
      }
    },
  );

  test('the supervisor has the privileges of the broker, and two to start and end its children', () => {
    const field = statusOf(pair.daemon.pid);
    const broker = BigInt(`0x${statusOf(pair.daemon.brokerPid)('CapPrm')}`);
    const own = (broker | (1n << CAP_KILL) | (1n << CAP_SETPCAP)).toString(16).padStart(16, '0');
    for (const set of ['CapPrm', 'CapEff', 'CapBnd']) expect([set, field(set)]).toEqual([set, own]);
    expect(field('NoNewPrivs')).toBe('1');
    expect(field('Threads')).toBe('1');
  });

  test('the broker runs under a seccomp filter', () => {
    expect(statusOf(pair.daemon.brokerPid)('Seccomp')).toBe('2');
  });
});
