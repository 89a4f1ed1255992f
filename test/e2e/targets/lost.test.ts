/** What was planted in a consumer is planted again when the consumer loses it, in each way that one does. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TestContainer } from '../../support/container.js';
import { type ContainerPair, usePair } from '../../support/container-pair.js';
import { descendantsOf } from '../../support/processes.js';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { TARGET as BUS, BusPair } from '../dbus/support.js';
import { Devices } from '../devices/support.js';
import { startNode } from '../http/providers.js';
import { TARGET, UnixPair } from '../unix/support.js';

const PIVOT = [
  'mkdir /tmp/new; mount --rbind / /tmp/new; mount -t tmpfs tmpfs /tmp/new/run',
  'cd /tmp/new; pivot_root . tmp',
].join(';');

const WAYS = [
  ['its init mounts a file system over /run', 'mount -t tmpfs tmpfs /run'],
  ['somebody removes the folder', 'rm -rf /run/pv'],
  ['somebody renames a folder above', 'mv /run/pv /run/old'],
  ['it enters another root', PIVOT],
] as const;

async function does(container: TestContainer, script: string): Promise<void> {
  const { code, stderr } = await container.exec(['sh', '-c', script]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
}

/** Each test loses what the consumer has: the next one gets another consumer. */
function eachInItsOwn(pair: ContainerPair, establish: () => Promise<void>): void {
  beforeEach(async () => {
    await pair.consumer.restart();
    await establish();
  });
  afterEach(() => pair.clear());
}

describe('the target of a unix link', () => {
  const pair = usePair(new UnixPair(['--patience', '5']));
  eachInItsOwn(pair, async () => {
    await pair.serve('serve-echo');
    await pair.establish();
  });

  const isServed = () =>
    eventually(async () => expect(await pair.ask('ask', TARGET, 'x')).toBe('x'));

  test.each(WAYS)('is there again when %s', async (_way, script) => {
    await does(pair.consumer, script);
    await isServed();
    await pair.daemon.until({ raw: 'established' });
  });

  test('is there again for datagrams and records', async () => {
    await pair.clear();
    await pair.start(pair.provider, 'serve-sink', '/run/example/sink.sock');
    for (const mode of ['dgram', 'seqpacket']) {
      await pair.establish({ mode, socket: '/run/example/sink.sock' }).catch(() => undefined);
      await does(pair.consumer, 'rm -rf /run/pv');
      await eventually(() => does(pair.consumer, `test -S ${TARGET}`));
    }
  });

  test('costs no connection that is open', async () => {
    const held = await pair.start(pair.consumer, 'hold', TARGET, '3');
    await pair.daemon.untilActive(3);
    await does(pair.consumer, 'rm -rf /run/pv');
    await isServed();
    await pair.daemon.untilActive(3);
    const [shown] = await pair.daemon.shown();
    expect(shown?.connections.total).toBeGreaterThan(3);
    held.kill();
  });

  test.each([
    ['somebody else listens', 'nc.openbsd -lkU', 'target-occupied'],
    ['a file is', 'tail -f /dev/null >', 'target-occupied'],
  ])(
    'is not fought for where %s there: the link says so until it is free',
    async (_who, take, code) => {
      const script = `rm ${TARGET}; exec ${take} ${TARGET}`;
      const other = pair.run(pair.consumer, ['sh', '-c', script]);
      const [shown] = await pair.daemon.until({ raw: 'failed' });
      await eventually(async () => {
        const [now] = await pair.daemon.shown();
        expect(now?.last_error?.code).toBe(code);
      });
      expect(shown?.state).toBe('failed');
      other.kill('SIGKILL');
      await does(pair.consumer, `rm -f ${TARGET}`);
      await isServed();
      await pair.daemon.until({ raw: 'established' });
    },
  );

  test('says that it can not be there where the file system is read-only', async () => {
    await does(pair.consumer, 'mount -t tmpfs -o ro tmpfs /run');
    await eventually(async () => {
      const [shown] = await pair.daemon.shown();
      expect(shown).toMatchObject({ state: 'failed', last_error: { code: 'target-read-only' } });
    });
    await does(pair.consumer, 'umount /run');
    await isServed();
    await pair.daemon.until({ raw: 'established' });
  });

  test('costs ever less where it is lost in a loop, and nothing of its neighbours', async () => {
    const other = { name: 'other', target: '/run/other.sock' };
    pair.daemon.set(pair.link(), pair.link(other));
    await pair.daemon.until({ raw: 'established', other: 'established' });
    const before = pair.daemon.log.length;
    const loop = 'i=0; while [ $i -lt 1000 ]; do rm -rf /run/pv; sleep 0.001; i=$((i+1)); done';
    await pair.consumer.exec(['sh', '-c', loop], { timeout: 60_000 });
    const again = () =>
      [...pair.daemon.log.slice(before).matchAll(/is there again(?: .repeated (\d+) times)?/g)]
        .map(([, times]) => Number(times ?? 1))
        .reduce((sum, times) => sum + times, 0);
    await eventually(() => expect(again()).toBeGreaterThan(3));
    expect(again()).toBeLessThan(15);
    expect(await pair.ask('ask', other.target, 'x')).toBe('x');
    await isServed();
    await pair.daemon.until({ raw: 'established', other: 'established' });
  });

  test('goes with its link while it is lost', async () => {
    await does(pair.consumer, 'mount -t tmpfs -o ro tmpfs /run');
    await pair.daemon.until({ raw: 'failed' });
    await pair.daemon.clear();
    await does(pair.consumer, 'umount /run');
    await expect(pair.ask('ask', TARGET, 'x')).rejects.toThrow(/ConnectionRefused|FileNotFound/);
  });
});

describe('the target of a rest link', () => {
  const SOCKET = '/run/web/api.sock';
  const pair = usePair(
    new UnixPair([], { link: { type: 'rest', interface: 'rest', socket: SOCKET } }),
  );
  eachInItsOwn(pair, async () => {
    pair.provider.run(['sh', '-c', `rm -f ${SOCKET}`]);
    startNode(pair.provider, { socket: SOCKET }, 'node');
    await pair.establish();
  });

  test.each(WAYS)('is there again when %s', async (_way, script) => {
    await does(pair.consumer, script);
    const argv = ['curl', '-sf', '--unix-socket', TARGET, 'http://localhost/'];
    await eventually(async () => expect((await pair.consumer.exec(argv)).code).toBe(0));
  });
});

describe.runIf(has('dbus-daemon') && has('dbus-send'))('the target of a dbus link', () => {
  const pair = usePair(new BusPair([]));
  eachInItsOwn(pair, () => pair.establish({ role: 'operator' }));

  test.each(WAYS)('is there again when %s', async (_way, script) => {
    await does(pair.consumer, script);
    const bus = 'org.freedesktop.DBus';
    const address = `--bus=unix:path=${BUS}`;
    const argv = ['dbus-send', address, '--print-reply', `--dest=${bus}`, '/', `${bus}.GetId`];
    await eventually(async () => expect((await pair.consumer.exec(argv)).code).toBe(0));
  });
});

describe('the node of a device link', () => {
  const CARD = '/dev/dri/card0';
  const pair = usePair(new Devices());
  eachInItsOwn(pair, async () => {
    await pair.inProvider(`mkdir -p /dev/dri; test -e ${CARD} || mknod ${CARD} c 226 0`);
    await pair.establish();
  });

  const isThere = () => eventually(() => does(pair.consumer, `test -c ${CARD}`));

  test.each([
    ['somebody unlinks it', `rm ${CARD}`],
    ['somebody removes its folder', 'rm -r /dev/dri'],
    ['its init mounts a file system over /dev', 'mount -t tmpfs tmpfs /dev'],
  ])('is there again when %s', async (_way, script) => {
    await does(pair.consumer, script);
    await isThere();
    await pair.daemon.until({ card: 'established' });
  });

  test('is there again where the same node was there before us, and is gone', async () => {
    await pair.clear();
    await pair.inProvider(`mkdir -p /dev/dri; mknod ${CARD} c 226 0`);
    await does(pair.consumer, `mkdir -p /dev/dri; mknod ${CARD} c 226 0`);
    await pair.establish();
    await does(pair.consumer, `rm ${CARD}`);
    await isThere();
  });

  test('is not fought for where something else is there: the link says so until it is free', async () => {
    await does(pair.consumer, `rm ${CARD}; echo mine > ${CARD}`);
    expect(await pair.withError('target-occupied')).toMatch(/left untouched/);
    await does(pair.consumer, `grep -q mine ${CARD}; rm ${CARD}`);
    await isThere();
    await pair.daemon.until({ card: 'established' });
  });
});

describe('the listener of a tcp link', () => {
  const AT = '127.0.0.1:4100';
  const LEAVE =
    'import ctypes, os; print(flush=True); input(); ctypes.CDLL(None).unshare(0x40000000); print(flush=True); input()';
  const pair = usePair(new UnixPair([], { containers: { net: true } }));
  afterEach(() => pair.clear());

  test('is in the network that its consumer has now', async () => {
    await pair.start(pair.provider, 'serve-echo', '127.0.0.1:4000');
    const init = pair.talk(pair.consumer, ['python3', '-c', LEAVE]);
    await init.line();
    const consumer_pid = pidOf(pair.consumer, LEAVE);
    await pair.establish({
      ...{ consumer_pid, type: 'tcp', interface: 'tcp', target: AT, socket: '127.0.0.1:4000' },
    });
    init.say('\n');
    await init.line();
    await eventually(() => {
      const listening = readFileSync(`/proc/${consumer_pid}/net/tcp`, 'utf8');
      expect(listening).toContain('0100007F:1004');
    });
    await pair.daemon.until({ raw: 'established' });
  });
});

/** As the host counts. */
function pidOf(container: TestContainer, program: string): number {
  const argvOf = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  const found = descendantsOf(container.pid).find((pid) => argvOf(pid)[2] === program);
  return found as number;
}
