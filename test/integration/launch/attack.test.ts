/** A process that shares its user with one of the mesh, or is sent a pidfd of it, can take nothing from it. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TARGET, UnixPair } from '../../e2e/unix/support.js';
import { TestBus } from '../../support/bus/bus.js';
import { childrenOf, statusOf } from '../../support/processes.js';
import { has, isRoot } from '../../support/requirements.js';
import { revision } from '../bus/support.js';

const THIEF = fileURLToPath(new URL('thief.py', import.meta.url));
const NOBODY = 65_534;
/** What engines leave to root of a container that has no user namespace. */
const CAPABILITIES =
  'chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod,setfcap';
const CONTAINER_ROOT = [
  ...['setpriv', '--inh-caps', '-all', '--bounding-set'],
  `-all,+${CAPABILITIES.replaceAll(',', ',+')}`,
];

/** Sockets bring a pidfd from Linux 6.5 on. */
const [major = 0, minor = 0] = release().split('.').map(Number);
const havePidfds = major > 6 || (major === 6 && minor >= 5);

interface Loot {
  readonly got: string[];
  readonly refused: string[];
}

const ids = (pid: number, kind: 'Uid' | 'Gid') =>
  statusOf(pid)(kind)?.split('\t').map(Number) ?? [];

/** From the host, as that uid; 0: root of a container. */
function stealFrom(pid: number, uid: number): Loot {
  const argv = ['python3', THIEF, 'pid', String(pid), ...(uid > 0 ? [String(uid)] : [])];
  const [program = '', ...args] = uid > 0 ? argv : [...CONTAINER_ROOT, ...argv];
  return JSON.parse(execFileSync(program, args, { encoding: 'utf8' })) as Loot;
}

const NOTHING = { got: [], refused: ['Operation not permitted'] };

describe.runIf(isRoot() && has('setpriv'))('what the processes of the mesh hold', () => {
  const pairs = { own: new UnixPair([]), nobody: new UnixPair(['--user', 'nobody']) };

  beforeAll(async () => {
    for (const pair of Object.values(pairs)) {
      await pair.setUp();
      await pair.serve('serve-echo');
      await pair.establish();
    }
  });
  afterAll(async () => {
    for (const pair of Object.values(pairs)) await pair.tearDown();
  });

  const overLink = async (pair: UnixPair, uid: number) => {
    const source = readFileSync(THIEF, 'utf8');
    const argv = ['python3', '-c', source, 'socket', TARGET, String(uid)];
    const { stdout, stderr } = await pair.consumer.exec(argv);
    expect(stderr).toBe('');
    return JSON.parse(stdout);
  };

  test('daemon and relay are users that nobody else is, with groups of the same numbers', () => {
    const { daemonPid, relayPid } = pairs.own.daemon;
    const uids = [daemonPid, relayPid].map((pid) => {
      const [uid = 0] = ids(pid, 'Uid');
      expect(uid).toBeGreaterThanOrEqual(0x7f00_0000);
      expect(uid).toBeLessThanOrEqual(0x7f00_ffff);
      expect(ids(pid, 'Uid')).toEqual(Array(4).fill(uid));
      expect(ids(pid, 'Gid')).toEqual(Array(4).fill(uid));
      return uid;
    });
    expect(uids[0]).not.toBe(uids[1]);
    for (const pid of [pairs.nobody.daemon.daemonPid, pairs.nobody.daemon.relayPid]) {
      expect(ids(pid, 'Uid')).toEqual(Array(4).fill(NOBODY));
    }
  });

  test.runIf(havePidfds).each(['own', 'nobody'] as const)(
    'is not taken over a link by the pidfd that its socket brings (user: %s)',
    async (name) => {
      const pair = pairs[name];
      const [relayUid = 0] = ids(pair.daemon.relayPid, 'Uid');
      for (const uid of [1_000, NOBODY, relayUid]) {
        expect(await overLink(pair, uid)).toMatchObject({
          ...NOTHING,
          data: 'x',
          seen: [`uid ${relayUid}`, 'pidfd'],
        });
      }
    },
  );

  test.each(['own', 'nobody'] as const)(
    'is not taken by a process of the host (user: %s)',
    (name) => {
      const { daemonPid, relayPid } = pairs[name].daemon;
      const users = [daemonPid, relayPid].map((pid) => ids(pid, 'Uid')[0] ?? 0);
      for (const pid of [daemonPid, relayPid]) {
        for (const uid of [NOBODY, ...users, 0]) {
          expect(stealFrom(pid, uid)).toMatchObject(NOTHING);
        }
      }
    },
  );

  test.each(['brokerPid', 'pid'] as const)('is not taken from a process of root (%s)', (which) => {
    const { daemon } = pairs.own;
    const users = [daemon.daemonPid, daemon.relayPid].map((pid) => ids(pid, 'Uid')[0] ?? 0);
    for (const uid of [NOBODY, ...users, 0]) {
      expect(stealFrom(daemon[which], uid)).toMatchObject(NOTHING);
    }
  });

  test.runIf(existsSync('/proc/key-users'))('has a session keyring of its own', () => {
    for (const pid of [pairs.own.daemon.daemonPid, pairs.own.daemon.relayPid]) {
      const [uid = 0] = ids(pid, 'Uid');
      expect(readFileSync('/proc/key-users', 'utf8')).toMatch(new RegExp(`^ *${uid}: `, 'm'));
    }
  });

  test('is in no core dump', () => {
    const { daemon } = pairs.own;
    for (const pid of [daemon.pid, ...childrenOf(daemon.pid)]) {
      expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).toMatch(/^Max core file size +0 +0 /m);
    }
  });
});

describe.runIf(isRoot() && has('setpriv') && has('dbus-daemon'))(
  'what the hosted bus holds',
  () => {
    const bus = new TestBus();
    beforeAll(async () => {
      await bus.start();
      await bus.hosts(revision(['friend']));
    });
    afterAll(() => bus.remove());

    test.each([
      ['pvx-bus', () => bus.process.pid as number],
      ['dbus-daemon', () => bus.daemonPid],
    ])('is not taken from %s, by its own user neither', (_, pid) => {
      const [own = 0] = ids(pid(), 'Uid');
      for (const uid of [NOBODY, own, 0]) expect(stealFrom(pid(), uid)).toMatchObject(NOTHING);
      expect(readFileSync(`/proc/${pid()}/limits`, 'utf8')).toMatch(/^Max core file size +0 +0 /m);
    });
  },
);
