/** What a service manager is told, over a real datagram socket: sd_notify(3). */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Peer } from '../../support/peer-process.js';
import { endBy } from '../../support/processes.js';
import { isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { Family } from './family.js';

/** Prints each datagram that comes to the socket NAME as a line of JSON; an "@" is an abstract one. */
const MANAGER = `
import json, os, socket, sys
name = sys.argv[1]
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(name.replace('@', '\\0', 1) if name[0] == '@' else name)
print('bound', flush=True)
while True:
    text, sender = manager.recvfrom(65536)
    print(json.dumps(text.decode().split('\\n')), flush=True)
`;

describe.runIf(isRoot())('a service manager', () => {
  let family: Family;
  let manager: Peer;
  const heard = async () => JSON.parse(await manager.line()) as string[];
  const child = { kill: async () => {} };

  async function start(name: string, plan: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const program = spawn('python3', ['-c', MANAGER, name], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child.kill = async () => void (await endBy(program));
    manager = new Peer(program);
    expect(await manager.line()).toBe('bound');
    family.plan('node', ...plan);
    family.start([], { NOTIFY_SOCKET: name, ...env });
  }

  beforeEach(() => {
    family = new Family();
  });
  afterEach(async () => {
    await family.remove();
    await child.kill();
  });

  test.each(['path', 'abstract'])(
    'hears when all is ready, is being looked at again, and ends (%s)',
    async (kind) => {
      const name = kind === 'path' ? join(family.folder, 'notify') : `@pvx-test-${process.pid}`;
      await start(name, ['ready wait']);
      const ready = ['READY=1', `MAINPID=${family.pid}`];
      expect(await heard()).toEqual(ready);
      process.kill(family.pid, 'SIGHUP');
      const before = process.hrtime.bigint() / 1000n;
      const [reloading, since] = await heard();
      expect(reloading).toBe('RELOADING=1');
      const microseconds = BigInt(/^MONOTONIC_USEC=(\d+)$/.exec(since ?? '')?.[1] ?? 0);
      expect(microseconds).toBeGreaterThan(before - 10_000_000n);
      expect(microseconds).toBeLessThanOrEqual(process.hrtime.bigint() / 1000n);
      expect(await heard()).toEqual(ready);
      process.kill(family.pid, 'SIGTERM');
      expect(await heard()).toEqual(['STOPPING=1']);
      expect(await family.ended()).toBe(0);
    },
  );

  test('hears nothing of a successor, but for a look that its predecessor was asked for', async () => {
    await start(join(family.folder, 'notify'), ['ready wait', 'ready word A wait']);
    const ready = await heard();
    process.kill(await family.started('node'), 'SIGKILL');
    expect(await heard()).toEqual(['WATCHDOG=1']);
    process.kill(await family.started('node', 2), 'SIGSTOP'); // it does not get to the signal
    process.kill(family.pid, 'SIGHUP');
    expect((await heard())[0]).toBe('RELOADING=1');
    process.kill(await family.started('node', 2), 'SIGKILL');
    expect(await heard()).toEqual(ready);
  });

  test('that watches hears that the daemon is alive; its children can not speak in its place', async () => {
    const environment = { WATCHDOG_USEC: '2000000' };
    await start(join(family.folder, 'notify'), ['ready word A word A wait'], environment);
    expect([await heard(), await heard(), await heard()].slice(1)).toEqual([
      ['WATCHDOG=1'],
      ['WATCHDOG=1'],
    ]);
    for (const name of ['node', 'pvx-broker', 'pvx-relay'] as const) {
      const variables = family.environment(name);
      expect(variables.filter((one) => /^(NOTIFY_SOCKET|WATCHDOG_PID)=/.test(one))).toEqual([]);
      expect(variables).toContain('WATCHDOG_USEC=2000000');
    }
  });

  test.each([
    ['comes up', 'heed handed wait'],
    ['is given up', 'exit 1'],
  ])('hears of an upgrade that %s', async (_what, plan) => {
    for (const name of ['pvx-broker', 'pvx-relay'] as const) family.plan(name, 'heed wait', plan);
    await start(join(family.folder, 'notify'), [
      'heed ready until go word U wait',
      'heed ready wait',
    ]);
    const ready = await heard();
    family.install('two');
    writeFileSync(join(family.folder, 'go'), '');
    expect((await heard())[0]).toBe('RELOADING=1');
    expect(await heard()).toEqual(ready); // the same pid
    process.kill(family.pid, 'SIGTERM');
    expect(await heard()).toEqual(['STOPPING=1']);
    expect(await family.ended()).toBe(0);
  });

  test('that watches another process is not spoken to by the daemon', async () => {
    const environment = { WATCHDOG_USEC: '2000000', WATCHDOG_PID: '1' };
    await start(join(family.folder, 'notify'), ['ready wait'], environment);
    await heard();
    await eventually(() =>
      expect(family.environment('node').filter((one) => one.startsWith('WATCHDOG'))).toEqual([]),
    );
  });
});
