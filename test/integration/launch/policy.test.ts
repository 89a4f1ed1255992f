/** Who is started again, when, and how all of it ends. */
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { childrenOf, statusOf } from '../../support/processes.js';
import { isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { Family } from './family.js';

let family: Family;
beforeEach(() => {
  family = new Family();
});
afterEach(() => family.remove());

/** Nothing is left of it. */
async function expectEnd(code: number): Promise<void> {
  expect(await family.ended()).toBe(code);
  expect(family.left()).toEqual([]);
  expect(() => readFileSync(family.control)).toThrow('ENOENT');
}

const kill = (pid: number) => process.kill(pid, 'SIGKILL');

/** SIGHUP is passed on to a daemon that has said so. */
async function isReady(): Promise<void> {
  await family.started('node');
  await eventually(() => {
    process.kill(family.pid, 'SIGHUP');
    expect(family.diary('node')).toContain('HUP');
  });
}

describe.runIf(isRoot())('pv-xconnect', () => {
  test('is the process that was launched, by its name, and each child is a session of its own', async () => {
    family.start();
    const pids = [
      await family.started('pvx-broker'),
      await family.started('pvx-relay'),
      await family.started('node'),
    ];
    expect(statusOf(family.pid)('Name')).toBe('pv-xconnect');
    expect(childrenOf(family.pid)).toEqual(pids);
    for (const pid of pids) expect(statusOf(pid)('NSsid')).toBe(String(pid));
  });

  test('passes SIGTERM on to the daemon, and ends with its code', async () => {
    family.plan('node', 'ready stubborn');
    family.start();
    await isReady();
    process.kill(family.pid, 'SIGTERM');
    await eventually(() => expect(family.diary('node')).toContain('TERM'));
    process.kill(family.pid, 'SIGTERM');
    expect(family.diary('pvx-broker')).not.toContain('TERM'); // it drains
    kill(await family.started('node'));
    await expectEnd(1);
    expect(family.diary('pvx-broker')).toContain('TERM');
  });

  test('ends as it was asked to where the daemon is only just starting', async () => {
    family.plan('node', 'wait');
    family.start();
    await family.started('node');
    process.kill(family.pid, 'SIGTERM');
    await expectEnd(0);
  });

  test('ends as it was asked to where the daemon is being waited for', async () => {
    family.plan('node', 'ready wait', 'exit 1', 'exit 1', 'wait');
    family.start();
    await isReady();
    kill(await family.started('node'));
    const last = await family.started('node', 3);
    // It ends with 1, which is not the code of one that was asked to end.
    await eventually(() => expect(childrenOf(family.pid)).not.toContain(last));
    process.kill(family.pid, 'SIGINT');
    await expectEnd(0);
  });

  test.each([
    ['exit 2', 2],
    ['exit 1', 1],
    ['killed', 1],
  ])('ends with a daemon that could not start: %s', async (plan, code) => {
    family.plan('node', plan);
    family.start();
    await expectEnd(code);
    expect(family.starts('node')).toHaveLength(1);
    if (plan === 'killed') {
      expect(family.said).toBe('pv-xconnect: the daemon ended (signal 9) before it was ready.\n');
    } else {
      expect(family.said).toBe(''); // it has said it itself
    }
  });

  test('starts a daemon that was killed again, at once, and nobody else', async () => {
    family.start();
    await isReady();
    kill(await family.started('node'));
    await family.started('node', 2);
    const starts = family.diary('node').filter((line) => line.startsWith('start'));
    expect(starts.map((line) => line.split(' ')[2])).toEqual(['1', '2']);
    expect(family.starts('pvx-relay')).toHaveLength(1);
    await eventually(() =>
      expect(family.said).toBe('pv-xconnect: the daemon ended (signal 9): it is started again.\n'),
    );
    expect(childrenOf(family.pid)).toHaveLength(3); // no zombie
  });

  test('starts one that was only just ready at once the first time, and then in a moment', async () => {
    family.start();
    for (const life of [1, 2, 3]) {
      const pid = await family.started('node', life);
      await eventually(() =>
        expect(family.diary('node').filter((line) => line === 'ready')).toHaveLength(life),
      );
      kill(pid);
      await family.started('node', life + 1);
    }
    const again = 'pv-xconnect: the daemon ended (signal 9): it is started again';
    await eventually(() =>
      expect(family.said).toBe(`${again}.\n${again} in a moment.\n${again} in a moment.\n`),
    );
  });

  test('has it started by the way to its folder where only root finds the one to its code', async () => {
    const only = () => chmodSync(join(family.folder, 'one/dist'), 0o700);
    only();
    family.start();
    await isReady();
    const folderOf = (pid: number) => family.descriptors(pid).find(({ fd }) => fd === 9)?.target;
    expect(folderOf(await family.started('node'))).toBe(join(family.folder, 'one'));
    rmSync(join(family.folder, 'one'), { recursive: true });
    family.install('one');
    only();
    kill(await family.started('node'));
    expect(folderOf(await family.started('node', 2))).toBe(join(family.folder, 'one'));
  });

  test('kills a daemon that drains for longer than it may, whatever that says', async () => {
    family.plan('node', 'ready chatter');
    family.start(['--stop-drain', '0']);
    await isReady();
    process.kill(family.pid, 'SIGTERM');
    await expectEnd(1);
  }, 30_000);

  test('lives with as many ends of a daemon as there are, where each was ready', async () => {
    family.start();
    for (let life = 1; life <= 6; life++) {
      const pid = await family.started('node', life);
      await eventually(() =>
        expect(family.diary('node').filter((line) => line === 'ready')).toHaveLength(life),
      );
      kill(pid);
      await family.started('node', life + 1);
    }
    expect(family.process.exitCode).toBeNull();
  });

  test('gives up, and says why, when a daemon that was there once fails five times', async () => {
    family.plan('node', 'ready wait', 'exit 7');
    family.start();
    await isReady();
    kill(await family.started('node'));
    await expectEnd(1);
    expect(family.starts('node')).toHaveLength(6);
    expect(family.said).toMatch(
      /the daemon ended \(exit code 7\), for the 5th time without having been ready: giving up\.\n$/,
    );
  });

  test('gives a daemon that asks for one a successor, and does not say that it failed', async () => {
    family.plan('node', 'exit 75', 'ready exit 75', 'ready wait');
    family.start();
    await family.started('node', 3);
    expect(family.said).toBe('');
  });

  test('starts a relay that was killed again, and nobody else', async () => {
    family.start();
    await isReady();
    kill(await family.started('pvx-relay'));
    await family.started('pvx-relay', 2);
    expect(family.starts('node')).toHaveLength(1);
    await eventually(() =>
      expect(family.said).toContain('pvx-relay ended (signal 9): it is started again.'),
    );
  });

  test('gives up when a relay can not begin', async () => {
    family.plan('pvx-relay', 'exit 1');
    family.plan('node', 'wait');
    family.start();
    await expectEnd(1);
    expect(family.said).toMatch(
      /pvx-relay ended \(exit code 1\), for the 5th time .* giving up\.\n$/,
    );
  });

  test('ends with its broker', async () => {
    family.start();
    await isReady();
    kill(await family.started('pvx-broker'));
    await expectEnd(1);
    expect(family.said).toBe(
      'pv-xconnect: pvx-broker ended (signal 9): ending, to be started anew.\n',
    );
  });

  test('kills a broker that does not end', async () => {
    family.plan('pvx-broker', 'stubborn');
    family.start();
    await isReady();
    process.kill(family.pid, 'SIGTERM');
    await expectEnd(0);
    expect(family.diary('pvx-broker')).toContain('TERM');
  });

  test('starts the program of the bus with --state, again unless it can not begin', async () => {
    family.plan('pvx-bus', 'exit 1', 'exit 3', 'wait');
    family.start(['--state', '/nowhere']);
    await family.started('pvx-bus', 2);
    await isReady();
    process.kill(family.pid, 'SIGTERM');
    await expectEnd(0);
    expect(family.starts('pvx-bus')).toHaveLength(2);
  });

  test('takes nobody along who is no child, and all who are, when it is killed', async () => {
    family.start(['--state', '/nowhere']);
    await isReady();
    await family.started('pvx-bus');
    kill(family.pid);
    await eventually(() => expect(family.running()).toEqual([]));
    expect(family.diary('pvx-broker')).toContain('TERM'); // it removes what it planted
  });

  test('keeps SIGHUP from a daemon that does not catch it yet', async () => {
    family.plan('node', 'wait');
    family.start();
    await family.started('node');
    process.kill(family.pid, 'SIGHUP');
    process.kill(family.pid, 'SIGTERM');
    await expectEnd(0);
    expect(family.diary('node')).not.toContain('HUP');
  });

  test.each([
    ['of an unknown kind', 'word Zebra word '.concat('x'.repeat(300))],
    ['without end', `word ${'W9'.repeat(3_000)}`],
    ['on processes that are none of its ancestors', `word W1 word W4000000 word W${2 ** 31}`],
  ])('goes on whatever its daemon says: words %s', async (_what, words) => {
    family.plan('node', `${words} ready wait`);
    family.start();
    await isReady();
    expect(family.process.exitCode).toBeNull();
  });
});
