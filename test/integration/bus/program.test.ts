/** pvx-bus and the bus under it: begun, changed, killed, damaged, left alone by its parent. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Keeper } from '../../../src/bus/keeper.js';
import { busPlaces, spawnBus } from '../../../src/bus/program.js';
import { BETWEEN_VERSIONS } from '../../../src/kernel/between-versions.js';
import { closeAll } from '../../../src/kernel/descriptors.js';
import { errnoName } from '../../../src/kernel/errno.js';
import { Channel } from '../../../src/relay/channel.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import { PYTHON, TestBus } from '../../support/bus/bus.js';
import { childrenOf, endOf, statusOf } from '../../support/processes.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { requires, revisionFrom } from '../../unit/manifest/scratch.js';
import { FOO, revision } from './support.js';

const ECHO = 'org.example.Test.Echo';

const isAlive = (pid: number) => {
  try {
    return !statusOf(pid)('State')?.startsWith('Z');
  } catch {
    return false;
  }
};

describe.runIf(isRoot() && has('dbus-daemon') && has('dbus-send'))('pvx-bus', () => {
  let bus: TestBus;
  beforeEach(() => {
    bus = new TestBus();
  });
  afterEach(() => bus.remove());

  const uid = async (role: string, files = revision(['friend'])) =>
    (await bus.hosts(files)).uids?.get(role) as number;

  test('is neither root nor nobody, and has no capability; so is the bus', async () => {
    await bus.start();
    await bus.hosts(revision(['friend']));
    for (const pid of [bus.process.pid as number, bus.daemonPid]) {
      const field = statusOf(pid);
      expect(field('Uid')).toBe(Array(4).fill('199999').join('\t'));
      expect(field('Groups')).toBe('');
      expect(field('CapPrm')).toBe('0'.repeat(16));
      expect(field('CapBnd')).toBe('0'.repeat(16));
      expect(field('NoNewPrivs')).toBe('1');
    }
  });

  test('lets nobody look into its folders', async () => {
    await bus.start();
    for (const folder of [bus.places.folder, bus.places.store]) {
      expect(statSync(folder).mode & 0o777).toBe(0o700);
      expect(statSync(folder).uid).toBe(199_999);
    }
  });

  test('makes the folders around its own for everybody', async () => {
    bus.places = busPlaces(join(bus.folder, 'run/control.sock'), join(bus.folder, 'lib/storage'));
    await bus.start();
    for (const folder of ['run', 'lib', 'lib/storage']) {
      expect(statSync(join(bus.folder, folder)).mode & 0o777).toBe(0o755);
    }
  });

  test("leaves the host's own /etc/passwd and mounts as they are", async () => {
    const before = readFileSync('/etc/passwd', 'utf8');
    const mounts = readFileSync('/proc/self/mounts', 'utf8');
    await bus.start();
    await bus.hosts(revision(['friend']));
    expect(readFileSync('/etc/passwd', 'utf8')).toBe(before);
    expect(readFileSync('/proc/self/mounts', 'utf8')).toBe(mounts);
  });

  test('starts no bus before there is a use for one', async () => {
    await bus.start();
    expect(await bus.host.host(revisionFrom({}))).toBeUndefined();
    expect(bus.daemonPid).toBe(0);
  });

  test('has another revision reloaded: who is connected stays so, and has its new rights', async () => {
    await bus.start();
    const owner = await uid('owner');
    const stranger = await uid('stranger');
    const pid = bus.daemonPid;
    const { child } = await bus.serve(owner, FOO);
    expect((await bus.call(stranger, FOO, ECHO, 'string:a')).code).toBe(1);
    const asks = `
import dbus, dbus.bus, sys
bus = dbus.bus.BusConnection(sys.argv[1])
for _ in sys.stdin:
    try:
        print(bus.call_blocking("${FOO}", "/", "org.example.Test", "Echo", "s", ["still here"]), flush=True)
    except dbus.DBusException as e:
        print(e.get_dbus_name(), flush=True)
`;
    const asker = bus.talk(stranger, [PYTHON, '-c', asks, bus.address]);
    expect(await asker.ask()).toBe('org.freedesktop.DBus.Error.AccessDenied');
    // A reload is asked for by a signal; the bus does it when it comes to it.
    const isAnswered = (answer: string) =>
      eventually(async () => expect(await asker.ask()).toBe(answer));
    await bus.hosts(revision(['friend', 'stranger']));
    await isAnswered('still here');
    await bus.hosts(revision([]));
    await isAnswered('org.freedesktop.DBus.Error.AccessDenied');
    expect(bus.daemonPid).toBe(pid);
    expect(child.exitCode).toBeNull();
    asker.end();
  });

  test('writes nothing that is as it was', async () => {
    await bus.start();
    await bus.hosts(revision(['friend']));
    const conf = join(bus.places.folder, 'bus.conf');
    const before = [statSync(conf).ino, statSync(bus.uidsFile).ino];
    await bus.hosts({ ...revision(['friend']), 'd/run.json': requires('other') });
    expect([statSync(conf).ino, statSync(bus.uidsFile).ino]).toEqual(before);
    expect(bus.log.join('\n')).not.toContain('Reloaded');
    await bus.hosts(revision(['friend', 'stranger']));
    expect(statSync(conf).ino).not.toBe(before[0]);
    expect(statSync(bus.uidsFile).ino).toBe(before[1]);
  });

  test('a bus that is killed comes back with its configuration', async () => {
    await bus.start();
    const owner = await uid('owner');
    const friend = await uid('friend');
    for (let times = 0; times < 3; times++) {
      const pid = bus.daemonPid;
      process.kill(pid, 'SIGKILL');
      await eventually(() => {
        expect(bus.daemonPid).toBeGreaterThan(0);
        expect(bus.daemonPid).not.toBe(pid);
      });
      await bus.listens();
      await eventually(async () => expect((await bus.serve(owner, FOO)).line).toMatch(/^ready/));
      expect((await bus.call(friend, FOO, ECHO, 'string:hi')).code).toBe(0);
      await bus.reset();
    }
    expect(bus.log.filter((line) => line.includes('signal 9'))).toEqual(
      [0, 100, 200].map(
        (ms) => `the hosted system bus ended: signal 9; it is started again in ${ms} ms`,
      ),
    );
  });

  test('a configuration that comes right behind a start or a kill is the one that counts', async () => {
    await bus.start();
    await bus.hosts(revision(['friend']));
    for (let times = 0; times < 5; times++) {
      process.kill(bus.daemonPid, 'SIGKILL');
      const files = revision([times % 2 ? 'friend' : 'stranger']);
      const uids = (await bus.hosts(files)).uids ?? new Map();
      await eventually(async () => {
        const { line } = await bus.serve(uids.get('owner'), FOO);
        expect(line).toMatch(/^ready/);
      });
      const codes = ['friend', 'stranger'].map(async (role) => {
        return (await bus.call(uids.get(role), FOO, ECHO, 'string:hi')).code;
      });
      expect(await Promise.all(codes)).toEqual(times % 2 ? [0, 1] : [1, 0]);
      await bus.reset();
    }
  });

  test('ends with its parent, and the bus with it; the folder is empty then', async () => {
    await bus.start();
    await bus.hosts(revision(['friend']));
    const pids = [bus.process.pid as number, bus.daemonPid];
    await bus.stop();
    await eventually(() => expect(pids.map(isAlive)).toEqual([false, false]));
    expect(readdirSync(bus.places.folder)).toEqual([]);
    expect(bus.lost).toBe(0); // we ended it ourselves
  });

  test('is killed: the bus goes too, and another one takes up where it left', async () => {
    await bus.start();
    const before = new Map((await bus.hosts(revision(['friend']))).uids);
    const pid = bus.daemonPid;
    bus.process.kill('SIGKILL');
    await eventually(() => {
      expect(isAlive(pid)).toBe(false);
      expect(bus.lost).toBe(1);
    });
    await bus.start();
    await bus.listens();
    expect((await bus.hosts(revision(['friend']))).uids).toEqual(before);
    const owner = before.get('owner') as number;
    await eventually(async () => expect((await bus.serve(owner, FOO)).line).toMatch(/^ready/));
  });

  test('signals for a group of processes are nothing to it', async () => {
    await bus.start();
    await bus.hosts(revision(['friend']));
    for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) bus.process.kill(signal);
    expect(await bus.keeper?.addUsers([200_500])).toBeNull();
    process.kill(bus.daemonPid, 'SIGINT');
    expect((await bus.call(await uid('friend'), 'org.freedesktop.DBus', 'a.b.C')).code).toBe(1);
    expect(bus.log.join()).not.toContain('ended');
  });

  test('a request that it does not know, or that changes its mind, is refused and harms no file', async () => {
    const channel = new Channel(bus.spawnProgram(), true);
    const answers: string[] = [];
    channel.onData = (record) => answers.push(record.toString('latin1'));
    const ask = async (...records: string[]) => {
      for (const record of records) channel.write(Buffer.from(record, 'latin1'));
      await eventually(() => expect(answers).toHaveLength(1));
      const [answer = ''] = answers.splice(0);
      return [answer[0], errnoName(answer.charCodeAt(2))];
    };
    channel.write(Buffer.from('z\0c\0b\0')); // before it begins nothing is heard
    await eventually(() => expect(answers.splice(0)).toEqual(['s\0']));
    const number = Buffer.from(Uint32Array.of(BETWEEN_VERSIONS + 1).buffer).toString('latin1');
    expect(await ask(`b\0${number}`)).toEqual(['b', 'EPROTO']);
    channel.write(Buffer.from('z\0')); // nor where it is of another version
    const begin = Buffer.from(Uint32Array.of(BETWEEN_VERSIONS).buffer);
    channel.write(Buffer.concat([Buffer.from('b\0'), begin]));
    const texts = ['b\0\0\0\0\0', 'u\0', 'o\0'];
    await eventually(() => expect(answers).toEqual(texts));
    answers.splice(0);
    expect(await ask('z\0')).toEqual(['z', errnoName(constants.errno.EOPNOTSUPP)]);
    expect(await ask('c\x01half', 'u\0{}')).toEqual(['u', 'EBADMSG']);
    expect(await ask('u\x01{', 'c\0')).toEqual(['c', 'EBADMSG']);
    expect(readdirSync(bus.places.store)).toEqual([]);
    expect(readdirSync(bus.places.folder).filter((name) => name.startsWith('bus'))).toEqual([]);
    const exited = once(bus.process, 'exit');
    channel.write(Buffer.from('c')); // no record at all
    expect(await exited).toEqual([0, null]);
    channel.close();
  });

  test('a second one on the same folders leaves the first one alone', async () => {
    await bus.start();
    const owner = await uid('owner');
    const second = new TestBus(undefined, bus.folder);
    await second.start();
    const hosted = await second.host.host(revisionFrom(revision([])));
    expect(hosted?.error?.message).toContain('another one has the folder');
    await bus.listens();
    expect((await bus.serve(owner, FOO)).line).toMatch(/^ready/);
    await second.stop();
  });

  test('a symbolic link in place of its folder is not followed', async () => {
    const elsewhere = join(bus.folder, 'elsewhere');
    mkdirSync(elsewhere);
    chmodSync(elsewhere, 0o755);
    symlinkSync(elsewhere, bus.places.folder);
    await bus.start();
    expect(statSync(elsewhere).uid).toBe(0);
    const hosted = await bus.host.host(revisionFrom(revision([])));
    expect(hosted?.error).toMatchObject({
      code: 'bus-off',
      message: expect.stringContaining('Not a directory'),
    });
  });

  test('a dbus-daemon that can not be executed is tried again, ever more slowly', async () => {
    const file = join(bus.folder, 'empty');
    writeFileSync(file, '', { mode: 0o755 });
    await bus.start(`mount --bind ${file} /usr/bin/dbus-daemon`);
    await bus.host.host(revisionFrom(revision([])));
    await eventually(() =>
      expect(bus.log.filter((line) => line.includes('200 ms'))).toHaveLength(1),
    );
    expect(bus.log.join('\n')).toContain("can't be executed");
  });

  test.each([
    ['unshare --user --map-root-user', 'the user namespace here has no uids from 199999 to 200999'],
    ['unshare --mount', 'dbus-daemon is not installed'],
  ])('where it can not be it says why, to whoever asks, and ends for good: %s', async (by, why) => {
    const hide = by.includes('mount') ? 'mount --bind /etc/passwd /usr/bin/dbus-daemon' : 'true';
    const argv = [...by.split(' '), 'sh', '-c', `${hide}; exec "$@"`, 'sh', ...bus.command];
    const spawned = spawnBus(argv);
    if (!spawned.ok) throw new Error(spawned.why);
    const exited = once(spawned.value.child, 'exit');
    const keeper = new Keeper(spawned.value.fd, { info: () => undefined, warn: () => undefined });
    const kept = await keeper.kept;
    expect(!kept.ok && kept.why).toContain(why);
    expect(await exited).toEqual([3, null]);
    keeper.close();
  });
});

describe.runIf(isRoot() && has('dbus-daemon') && has('dbus-send'))('behind one channel', () => {
  let bus: TestBus;
  /** Ours, as a supervisor has them. */
  let theirs: number;
  let mine: number;
  let program: ChildProcess;
  const log: string[] = [];
  const note = (line: string | object, text?: string) => void log.push(text ?? String(line));

  beforeEach(() => {
    bus = new TestBus();
    [mine, theirs] = native.socketPair(SOCKET_TYPES.seqpacket);
    log.splice(0);
  });
  afterEach(async () => {
    closeAll([mine, theirs]);
    await endOf(program);
    await bus.remove();
  });

  function startProgram(): void {
    const [path, ...args] = bus.command as [string, ...string[]];
    program = spawn(path, args, { stdio: ['ignore', 'inherit', 'inherit', theirs] });
  }

  const keep = () => new Keeper(native.descriptorDuplicate(mine), { info: note, warn: note });
  const passwd = () => readFileSync(join(bus.places.folder, 'passwd'), 'utf8');
  const hosted = async () => {
    const known = await bus.host.host(revisionFrom(revision(['friend'])));
    await bus.listens();
    return new Map(known?.uids);
  };

  test('a second keeper is told what is kept, and the bus goes on as it was', async () => {
    startProgram();
    const first = keep();
    await bus.host.attach(first);
    const before = await hosted();
    const pid = childrenOf(program.pid as number)[0];
    const users = passwd();
    // Of what the first one asks last, half is in the channel when it is gone.
    const channel = new Channel(native.descriptorDuplicate(mine), true);
    channel.write(Buffer.from('u\x01{"half": '));
    channel.write(Buffer.from('p\0abc'));
    await channel.flushed();
    first.close();
    closeAll([channel.release()]);
    const again = new TestBus(undefined, bus.folder);
    const second = keep();
    await again.host.attach(second);
    const kept = await second.kept;
    expect(kept.ok && kept.value[0]).toBe(readFileSync(bus.uidsFile, 'utf8'));
    const after = await again.host.host(revisionFrom(revision(['friend'])));
    expect(new Map(after?.uids)).toEqual(before);
    expect(passwd()).toBe(users); // none of them twice
    expect(childrenOf(program.pid as number)[0]).toBe(pid);
    second.close();
  });

  test('a pvx-bus that was started again is given everything again', async () => {
    startProgram();
    const keeper = keep();
    await bus.host.attach(keeper);
    const before = await hosted();
    const users = passwd();
    program.kill('SIGKILL');
    await endOf(program);
    // Asked meanwhile: it is heard by nobody, and fails.
    const lost = keeper.addUsers([200_500]);
    startProgram();
    expect(await lost).toBe('EPIPE');
    await eventually(() => expect(childrenOf(program.pid as number)).toHaveLength(1));
    await bus.listens();
    const owner = before.get('owner') as number;
    await eventually(async () => expect((await bus.serve(owner, FOO)).line).toMatch(/^ready/));
    expect(passwd()).toBe(users);
    expect(await hosted()).toEqual(before);
    keeper.close();
  });

  test('a user that is no role is not let in, and none of its record is', async () => {
    startProgram();
    const keeper = keep();
    await keeper.kept;
    const before = passwd();
    for (const uid of [0, 199_999, 201_000]) {
      expect(await keeper.addUsers([200_100, uid])).toBe('ERANGE');
    }
    expect(passwd()).toBe(before);
    expect(await keeper.addUsers([200_100, 200_100])).toBeNull();
    expect(passwd()).toBe(`${before}role-200100:x:200100:200100::/:/bin/false\n`);
    keeper.close();
  });
});
