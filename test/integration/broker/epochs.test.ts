/**
 * Daemons that follow each other on one channel: what the broker holds and has planted for one that died is taken over
 * by the next, or swept away; what one asked for in its last moments is nobody's.
 */
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decodeReply, encodeRequest, type Op, type Request } from '../../../src/broker/protocol.js';
import type { ErrnoResult } from '../../../src/kernel/result.js';
import { Channel } from '../../../src/relay/channel.js';
import { SOCKET_TYPES } from '../../../src/relay/native.js';
import { startBroker, type TestBroker } from '../../support/broker.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { mountStalling } from '../../support/file-systems.js';
import { fuse } from '../../support/requirements.js';
import { IoctlRecord, standInBroker } from '../../support/stand-ins.js';
import { eventually } from '../../support/wait.js';
import { RawBroker } from './raw.js';
import { failure } from './support.js';

function valueOrThrow<T>(result: ErrnoResult<T>): T {
  if (!result.ok) throw new Error(result.errno);
  return result.value;
}

const done = { ok: true, value: undefined };
const O_PATH = 0o10000000;

describe('a daemon that follows another', () => {
  let at: TestBroker;
  let container: TestContainer;
  let opened: number[];

  beforeEach(async () => {
    at = await startBroker();
    container = await startContainer({ name: 'kept' });
    opened = [];
  });
  afterEach(async () => {
    for (const fd of opened) closeSync(fd);
    await container.kill();
    await at.stop();
  });

  async function hold({ pid } = container): Promise<number> {
    const held = valueOrThrow(await at.broker.hold(pid, 0));
    opened.push(held.pidfd);
    return held.handle;
  }

  /** Its listener stays ours, as a relay has it. */
  async function plant(on: number, path: string): Promise<number> {
    const planted = valueOrThrow(await at.broker.listenUnix(on, 'stream', path));
    opened.push(planted.fd);
    return planted.plant;
  }

  const list = async (folder: string, on = container) =>
    (await on.exec(['ls', '-A', folder])).stdout.trim().split('\n').filter(Boolean);

  test('holds a container by the same number, and connects to what was planted there', async () => {
    const handle = await hold();
    const kept = await plant(handle, '/run/pv/kept');
    const broker = await at.next();
    const again = await hold();
    expect(again).toBe(handle);
    expect(await hold()).not.toBe(handle); // the second time it is another holding, as ever
    expect(await broker.keep(kept)).toEqual(done);
    expect(await broker.sweep()).toEqual(done);
    const socket = valueOrThrow(await broker.connectUnix(again, 'stream', '/run/pv/kept', 0, 0));
    opened.push(socket);
    expect(valueOrThrow(await broker.check(again)).lost).toEqual([]);
    expect(await broker.remove(kept)).toEqual(done);
    expect(await list('/run/pv')).toEqual([]);
  });

  test('sweeps away what it has not kept, and nothing else', async () => {
    const other = await startContainer({ name: 'other' });
    const handle = await hold();
    const otherHandle = await hold(other);
    const kept = await plant(handle, '/run/pv/kept');
    const left = await plant(handle, '/run/pv/left');
    await plant(otherHandle, '/run/pv/left');
    const broker = await at.next();
    expect(await hold()).toBe(handle);
    const own = await plant(handle, '/run/pv/own');
    await broker.keep(kept);
    expect(await broker.sweep()).toEqual(done);
    expect(await list('/run/pv')).toEqual(['kept', 'own']);
    expect(await list('/run/pv', other)).toEqual([]);
    expect(await broker.keep(left)).toEqual(failure('EBADF'));
    expect(await broker.probeUnix(otherHandle, '/run/x')).toEqual(failure('EBADF')); // released
    expect(await broker.probeUnix(handle, '/run/x')).toEqual(failure('ENOENT'));
    for (const plant of [kept, own]) expect(await broker.keep(plant)).toEqual(done);
    // And a third one keeps on.
    const third = await at.next();
    await third.keep(own);
    await third.sweep();
    expect(await list('/run/pv')).toEqual(['own']);
    expect(await third.probeUnix(handle, '/run/x')).toEqual(failure('ENOENT')); // not held anew, and in use
    await other.kill();
  });

  test('does not hold a process that has the pid of one that ended', async () => {
    const first = await startContainer({ name: 'first' });
    const handle = await hold(first);
    await first.kill();
    const stranger = await startContainer({ name: 'stranger', pid: first.pid });
    expect(stranger.pid).toBe(first.pid);
    await at.next();
    expect(await hold(stranger)).not.toBe(handle);
    await stranger.kill();
  });

  test('plants a node that is there already by the same number, and one with another owner anew', async () => {
    const handle = await hold();
    await container.exec(['sh', '-c', 'mkdir /dev/dri; mknod -m 600 /dev/dri/card0 c 226 0']);
    const node = () => openSync(`/proc/${container.pid}/root/dev/dri/card0`, O_PATH);
    const plantNode = async (uid: number) =>
      valueOrThrow(await at.broker.devices.plant(handle, 'drm', '/dev/pv/card', uid, 0, node()));
    const inode = async () =>
      (await container.exec(['stat', '-c', '%i %u', '/dev/pv/card'])).stdout;
    const planted = await plantNode(5);
    const before = await inode();
    let broker = await at.next();
    expect(await plantNode(5)).toBe(planted);
    await broker.sweep();
    expect(await inode()).toBe(before);
    broker = await at.next();
    expect(await plantNode(6)).not.toBe(planted);
    await broker.sweep();
    expect((await inode()).trim()).toMatch(/ 6$/);
    // What somebody else put there is neither ours nor in our way to say so.
    await container.exec(['sh', '-c', 'rm /dev/pv/card; echo x > /dev/pv/card']);
    broker = await at.next();
    expect(await broker.devices.plant(handle, 'drm', '/dev/pv/card', 6, 0, node())).toEqual(
      failure('EEXIST'),
    );
    await broker.sweep();
    expect(await list('/dev/pv')).toEqual(['card']);
  });

  test.runIf(fuse())('is held up by no file system that hangs', async () => {
    const hostile = await Promise.all(['one', 'two'].map((name) => startContainer({ name })));
    const hang = await Promise.all(hostile.map((one) => mountStalling(one, '/run/pv')));
    for (const one of hostile) await plant(await hold(one), '/run/pv/left');
    const handle = await hold();
    await plant(handle, '/run/pv/left');
    for (const stop of hang) stop();
    const broker = await at.next();
    expect(await broker.sweep()).toEqual(done);
    await eventually(async () => expect(await list('/run/pv')).toEqual([]));
    // So is the one after it, though threads hang by now.
    await plant(await hold(), '/run/pv/again');
    const next = await at.next();
    expect(await next.sweep()).toEqual(done);
    await eventually(async () => expect(await list('/run/pv')).toEqual([]));
    await Promise.all(hostile.map((one) => one.kill()));
  });

  test('is not answered what the one before it asked', async () => {
    const held = at.broker.hold(container.pid, 0);
    const broker = await at.next();
    expect(await held).toEqual(failure('EPIPE'));
    for (let i = 0; i < 20; i++) {
      expect(await broker.probeUnix(await hold(), '/run/x')).toEqual(failure('ENOENT'));
    }
  });
});

describe('what a client was given', () => {
  test('is taken back when another daemon follows', async () => {
    const record = new IoctlRecord();
    const at = await startBroker({ broker: standInBroker(), env: record.env });
    const node = valueOrThrow(await at.broker.devices.find(0xffff_ffff, 'input', '/dev/zero'));
    const { fd, grant } = valueOrThrow(await at.broker.devices.open('input', {}, node.fd));
    const isRevoked = () => {
      const flags = /flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
      return (Number.parseInt(flags ?? '', 8) & constants.O_APPEND) !== 0;
    };
    expect(isRevoked()).toBe(false);
    const next = await at.next();
    expect(isRevoked()).toBe(true);
    expect(await next.devices.revoke(grant)).toEqual(failure('EBADF'));
    closeSync(fd);
    await at.stop();
    record.remove();
  });
});

describe('requests of a daemon that died', () => {
  let broker: RawBroker;
  let container: TestContainer;
  beforeEach(async () => {
    broker = new RawBroker();
    container = await startContainer({ name: 'late' });
  });
  afterEach(async () => {
    await broker.stop();
    await container.kill();
  });

  const listen = (handle: number, path: string): Request => ({
    container: handle,
    type: SOCKET_TYPES.stream,
    path,
  });

  test('are refused once the next one is there, and so is its HELLO', async () => {
    await broker.begin(1);
    const handle = await broker.hold(container.pid);
    const { value: plant } = await broker.ask('LISTEN_UNIX', listen(handle, '/run/late'));
    await broker.begin(2);
    const late = broker.as(1);
    const all: [Op, Request][] = [
      ['LISTEN_UNIX', listen(handle, '/run/later')],
      ['REMOVE', { arg: plant }],
      ['RELEASE', { container: handle }],
      ['HOLD', { arg: container.pid }],
      ['SWEEP', {}],
      ['KEEP', { arg: plant }],
      ['HELLO', { arg: 1 }],
    ];
    for (const [op, request] of all) {
      expect((await late.ask(op, request)).errno, op).toBe('ESTALE');
    }
    expect((await broker.ask('HELLO', { arg: 3 })).errno).toBe('EINVAL'); // the id is of another one
    expect((await broker.ask('KEEP', { arg: plant })).errno).toBeNull();
    expect((await container.exec(['ls', '/run'])).stdout).toContain('late\n');
  });

  test('that are in the queue, or under way, leave nothing behind', async () => {
    await broker.begin(1);
    const handle = await broker.hold(container.pid);
    for (let incarnation = 2; incarnation < 60; incarnation++) {
      const before = broker.as(incarnation - 1);
      const asked = Array.from({ length: 12 }, (_, i) =>
        before.ask('LISTEN_UNIX', listen(handle, `/run/pv/${incarnation}-${i}`)),
      );
      await broker.begin(incarnation);
      for (const { errno } of await Promise.all(asked)) expect([null, 'ESTALE']).toContain(errno);
      expect(await broker.hold(container.pid)).toBe(handle);
      expect((await broker.ask('SWEEP', {})).errno).toBeNull();
      expect((await container.exec(['sh', '-c', 'ls -A /run/pv || :'])).stdout).toBe('');
    }
  });
});

test('the relay may ask for what a connection or a datagram needs, and for nothing else', async () => {
  const at = await startBroker({}, true);
  const container = await startContainer({ name: 'relayed' });
  const held = valueOrThrow(await at.broker.hold(container.pid, 0));
  const relay = new Channel(at.relay, true);
  const answers = new Map<number, string | null>();
  relay.onData = (record) => {
    const reply = decodeReply(record);
    if (reply) answers.set(reply.id, reply.errno);
  };
  const ask = (id: number, op: Op, request: Request) => {
    relay.write(encodeRequest(id, op, request) as Buffer);
    return eventually(() => {
      expect(answers.has(id)).toBe(true);
      return answers.get(id);
    });
  };
  const path = '/run/x';
  const of = { container: held.handle, type: SOCKET_TYPES.stream, path };
  expect(await ask(1, 'CONNECT_UNIX', of)).toBe('ENOENT');
  for (const op of ['LISTEN_UNIX', 'READ', 'PROBE_UNIX'] as const) {
    expect(await ask(2, op, of)).toBe('EPERM');
    answers.clear();
  }
  for (const op of ['HELLO', 'SWEEP', 'KEEP', 'HOLD', 'RUNTIME', 'REMOVE'] as const) {
    expect(await ask(3, op, { arg: 1 })).toBe('EPERM');
    answers.clear();
  }
  closeSync(held.pidfd);
  relay.close();
  await container.kill();
  await at.stop();
});
