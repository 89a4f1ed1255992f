/**
 * What a broker holds and has planted is another build's from C on: by the same handles, and removed by that one alone.
 * Until then the other one can be killed, and nothing has happened.
 */
import { closeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BETWEEN_VERSIONS } from '../../../src/kernel/between-versions.js';
import type { ErrnoResult } from '../../../src/kernel/result.js';
import { Channel } from '../../../src/relay/channel.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import { startBroker, type TestBroker } from '../../support/broker.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { handOver, numbered, Supervision } from '../../support/handover.js';
import { runProgram } from '../../support/processes.js';
import { eventually } from '../../support/wait.js';
import { failure } from './support.js';

function valueOrThrow<T>(result: ErrnoResult<T>): T {
  if (!result.ok) throw new Error(result.errno);
  return result.value;
}

const done = { ok: true, value: undefined };

describe('a broker of another build', () => {
  let container: TestContainer;
  let supervision: Supervision;
  let at: TestBroker;
  let opened: number[];
  const stops: (() => unknown)[] = [];

  beforeEach(async () => {
    container = await startContainer({ name: 'given', userns: true });
    supervision = new Supervision();
    at = await startBroker({ handover: [supervision.theirs] });
    stops.push(
      () => supervision.close(),
      () => container.kill(),
      () => at.stop(),
    );
    opened = [];
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
    for (const fd of opened) closeSync(fd);
  });

  async function hold(by = at, { pid } = container): Promise<number> {
    const held = valueOrThrow(await by.broker.hold(pid, 0));
    opened.push(held.pidfd);
    return held.handle;
  }

  async function plant(on: number, path: string, by = at): Promise<number> {
    const planted = valueOrThrow(await by.broker.listenUnix(on, 'stream', path));
    opened.push(planted.fd);
    return planted.plant;
  }

  const list = async (on = container) =>
    (await on.exec(['ls', '-A', '/run/pv'])).stdout.trim().split('\n').filter(Boolean);

  async function takeOver(): Promise<TestBroker> {
    const after = new Supervision();
    const next = await handOver(supervision, after, (handover) =>
      startBroker({ handover, incarnation: 1 }),
    );
    stops.push(
      () => after.close(),
      () => next.stop(),
    );
    return next;
  }

  /** The old one has heard it: it is told that what it does not know has ended. */
  async function commit(): Promise<void> {
    supervision.say('C');
    await eventually(async () => expect(await at.broker.remove(0)).toEqual(done));
  }

  test('has containers and plants by their handles, and alone removes them', async () => {
    const handle = await hold();
    const plants = [await plant(handle, '/run/pv/one'), await plant(handle, '/run/pv/two')];
    const next = await takeOver();
    await commit();
    for (const each of plants) {
      expect(await at.broker.keep(each)).toEqual(done);
      expect(await at.broker.remove(each)).toEqual(done);
    }
    await at.broker.release(handle);
    expect(await at.broker.sweep()).toEqual(done);
    opened.push(valueOrThrow(await at.broker.connectUnix(handle, 'stream', '/run/pv/one', 0, 0)));
    await at.stop();
    expect(await list()).toEqual(['one', 'two']);
    expect(await hold(next)).toBe(handle);
    expect(await next.broker.keep(plants[0] as number)).toEqual(done);
    opened.push(valueOrThrow(await next.broker.connectUnix(handle, 'stream', '/run/pv/one', 0, 0)));
    expect(valueOrThrow(await next.broker.check(handle)).lost).toEqual([]);
    await container.exec(['rm', '/run/pv/one']);
    expect(valueOrThrow(await next.broker.check(handle)).lost).toEqual([plants[0]]);
    expect(await next.broker.sweep()).toEqual(done);
    expect(await list()).toEqual([]);
  });

  test('removes everything at its own end', async () => {
    await plant(await hold(), '/run/pv/one');
    const next = await takeOver();
    await commit();
    await at.stop();
    expect(await list()).toEqual(['one']);
    await next.stop();
    expect(await list()).toEqual([]);
  });

  test('knows what stood in a container that is held no more, and gives no handle twice', async () => {
    const other = await startContainer({ name: 'other' });
    stops.unshift(() => other.kill());
    const gone = await hold(at, other);
    await at.broker.release(gone);
    const handle = await hold();
    const [removed, left] = [
      await plant(handle, '/run/pv/one'),
      await plant(handle, '/run/pv/two'),
    ];
    expect(await at.broker.remove(removed)).toEqual(done);
    await at.broker.release(handle);
    const next = await takeOver();
    await commit();
    expect(await next.broker.probeUnix(handle, '/run/pv/two')).toEqual(failure('EBADF'));
    expect(await next.broker.keep(removed)).toEqual(failure('EBADF'));
    const again = await hold(next, other);
    expect([gone, handle]).not.toContain(again);
    const anew = await plant(again, '/run/pv/one', next);
    expect([removed, left]).not.toContain(anew);
    expect(await next.broker.keep(left)).toEqual(done);
    expect(await next.broker.remove(left)).toEqual(done);
    expect(await list()).toEqual([]);
    expect(await list(other)).toEqual(['one']);
  });

  test('can be given up, and nothing has changed', async () => {
    const handle = await hold();
    const planted = await plant(handle, '/run/pv/one');
    const next = await takeOver();
    next.brokerProcess.kill('SIGKILL');
    supervision.say('T');
    expect(await list()).toEqual(['one']);
    expect(valueOrThrow(await at.broker.check(handle)).lost).toEqual([]);
    expect(await at.broker.remove(planted)).toEqual(done);
    expect(await at.broker.keep(planted)).toEqual(failure('EBADF'));
    await plant(handle, '/run/pv/two');
    await takeOver();
    await at.stop(); // both have it still
    expect(await list()).toEqual([]);
  });

  test('leaves to the old one what was planted after it was given the rest', async () => {
    const handle = await hold();
    await plant(handle, '/run/pv/one');
    const next = await takeOver();
    const late = await plant(handle, '/run/pv/late');
    await commit();
    expect(await list()).toEqual(['late', 'one']);
    expect(await next.broker.keep(late)).toEqual(failure('EBADF'));
    await at.stop();
    expect(await list()).toEqual(['one']);
  });

  test('is given nothing where it is one of another protocol', async () => {
    await plant(await hold(), '/run/pv/one');
    const [give, take] = native.socketPair(SOCKET_TYPES.stream);
    supervision.say(numbered('H', BETWEEN_VERSIONS + 1), [give]);
    const far = new Channel(take, false);
    let given = 0;
    far.onData = (data) => {
      given += data.length;
    };
    await new Promise<void>((resolve) => {
      far.onEnd = () => resolve();
    });
    expect(given).toBe(0);
    far.close();
  });

  test('can be one that reads nothing and goes', async () => {
    const handle = await hold();
    await plant(handle, '/run/pv/one');
    const [give, take] = native.socketPair(SOCKET_TYPES.stream);
    supervision.say(numbered('H'), [give]);
    expect(valueOrThrow(await at.broker.check(handle)).lost).toEqual([]);
    closeSync(take);
    await takeOver();
    await commit();
    expect(await list()).toEqual(['one']);
  });
});

/** Records as broker/handover.c has them. */
const CONTAINERS = 4_096;
const PLANTS = 16_384;
const words = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer);
const record = (kind: number, data: Buffer) => Buffer.concat([words(kind, data.length), data]);

/** `containers`, `plants`: how often their first places were taken. */
function begin({ version = BETWEEN_VERSIONS, epoch = 1, containers = 1, plants = 1 } = {}): Buffer {
  const taken = (first: number, many: number) => [first, ...new Array<number>(many - 1).fill(0)];
  return record(
    1,
    words(version, epoch, ...taken(containers, CONTAINERS), ...taken(plants, PLANTS)),
  );
}

function held({ handle = 1 << 12, start = 1, ranges = 0, released = 0 } = {}): Buffer {
  const map = [...new Array<number>(24).fill(0), ranges];
  return record(2, words(handle, 1, start, 0, 0, 0, ...map, ...map, released, 0));
}

function planted({
  handle = 1 << 14,
  container = 1 << 12,
  type = 0o140000,
  path = '/run/x',
} = {}): Buffer {
  const head = words(...new Array<number>(16).fill(0), handle, container, type, 0, 0, 0);
  return record(3, Buffer.concat([head, Buffer.from(path)]));
}
const END = record(4, Buffer.alloc(0));

describe('what a broker is handed', () => {
  const TWICE = 'a handle that is none, or not the first of its number';
  const malformed: [what: string, bytes: readonly Buffer[], fds: number, said: string][] = [
    ['nothing', [], 0, 'it ended too early'],
    ['no beginning', [END], 0, 'a record is of a kind that is not expected there'],
    ['two beginnings', [begin(), begin()], 0, 'a record is of a kind that is not expected there'],
    ['another version', [begin({ version: BETWEEN_VERSIONS + 1 })], 0, 'it is of another version'],
    [
      'an impossible epoch',
      [begin({ epoch: 2 ** 32 - 1 })],
      0,
      'BEGIN has a number that is out of range',
    ],
    [
      'impossible counts',
      [begin({ plants: 1 << 18 })],
      0,
      'BEGIN has a number that is out of range',
    ],
    ['no end', [begin()], 0, 'it ended too early'],
    ['half a record', [begin().subarray(0, 5_000)], 0, 'it ended too early'],
    [
      'an unknown kind',
      [begin(), words(5, 0)],
      0,
      'a record is of a kind that is not expected there',
    ],
    ['a wrong length', [begin(), words(2, 2 ** 31)], 0, 'a record has a wrong length'],
    ['a long path', [begin(), words(3, 88 + 1_025)], 0, 'a record has a wrong length'],
    ['a short plant', [begin(), words(3, 87)], 0, 'a record has a wrong length'],
    ['no descriptors', [begin(), held()], 1, 'CONTAINER has too few descriptors'],
    ['too many descriptors', [begin(), END], 1, 'it has too many descriptors'],
    [
      'a map of too many',
      [begin(), held({ ranges: 9 })],
      2,
      'CONTAINER has a number that is out of range',
    ],
    ['another generation', [begin(), held({ handle: 2 << 12 })], 2, `CONTAINER has ${TWICE}`],
    ['no process', [begin(), held()], 2, 'CONTAINER has descriptors of another process'],
    [
      'a plant of nobody',
      [begin(), planted(), END],
      0,
      'PLANT is in a container that did not come',
    ],
    [
      'a plant of no kind',
      [begin(), planted({ type: 0o100000 })],
      0,
      'PLANT has a number that is out of range',
    ],
    ['a way out', [begin(), planted({ path: '/run/../x' })], 0, 'PLANT has a path that is none'],
    [
      'a path with a NUL',
      [begin(), planted({ path: '/run/\0x' })],
      0,
      'PLANT has a path that is none',
    ],
  ];
  test.each(malformed)('is refused with %s', async (_, bytes, fds, said) => {
    const supervision = new Supervision();
    const [ours, theirs] = native.socketPair(SOCKET_TYPES.stream);
    const ending = runProgram('pvx-broker', ['ignore', 'ignore', supervision.theirs, theirs]);
    const channel = new Channel(ours);
    const never = Array.from({ length: fds }, () => native.socketPair(SOCKET_TYPES.stream));
    channel.write(
      Buffer.concat(bytes),
      never.map(([fd]) => fd),
    );
    await channel.flushed();
    closeSync(theirs);
    channel.end();
    expect(await ending).toEqual({
      code: 1,
      stderr: `pvx-broker: what the broker before it hands over (descriptor 6) can't be taken: ${said}.\n`,
    });
    await supervision.heard('');
    channel.close();
    for (const [, fd] of never) closeSync(fd);
    supervision.close();
  });
});
