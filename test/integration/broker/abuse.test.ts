/** A daemon that was taken over: records that are none, floods, descriptors. The broker outlives it, unharmed. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  decodeReply,
  encodeRequest,
  OPS,
  type Op,
  REQUEST_SIZE,
} from '../../../src/broker/protocol.js';
import { Channel } from '../../../src/relay/channel.js';
import { native, PACKAGE_ROOT, SOCKET_TYPES } from '../../../src/relay/native.js';
import { startContainer } from '../../support/container.js';
import { countOpenAtRest, countOpenFiles } from '../../support/open-files.js';
import { endOf, statusOf } from '../../support/processes.js';
import { fc, property } from '../../support/property.js';
import { eventually } from '../../support/wait.js';

describe('pvx-broker under abuse', () => {
  let broker: ChildProcess;
  let channel: Channel;
  let relay: number;
  let replies: { id: number; errno: string | null }[];
  let ended: boolean;

  const openFiles = () => countOpenFiles(broker.pid as number);

  beforeEach(async () => {
    const [ours, theirs] = native.socketPair(SOCKET_TYPES.seqpacket);
    const [data, theirData] = native.socketPair(SOCKET_TYPES.seqpacket);
    broker = spawn(`${PACKAGE_ROOT}/build/Release/pvx-broker`, [], {
      stdio: ['ignore', 'inherit', 'inherit', theirs, theirData],
    });
    closeSync(theirs);
    closeSync(theirData);
    relay = data;
    replies = [];
    ended = false;
    channel = new Channel(ours, true);
    channel.onData = (record, fds) => {
      for (const fd of fds) closeSync(fd);
      const reply = decodeReply(record);
      if (reply) replies.push({ id: reply.id, errno: reply.errno });
    };
    channel.onEnd = () => {
      ended = true;
    };
    await answerTo('HELLO', 1);
  });

  afterEach(async () => {
    channel.close();
    closeSync(relay);
    broker.kill();
    expect(await endOf(broker)).toBe(0);
  });

  async function answerTo(op: Op, id: number, more = {}, fds: number[] = []) {
    channel.write(encodeRequest(id, op, more) as Buffer, fds);
    return eventually(() => {
      const reply = replies.find((one) => one.id === id);
      if (!reply) throw new Error('no answer');
      return reply;
    });
  }

  test('a record of any other length is refused, and the next one is served', async () => {
    const sizes = [1, 3, 4, 39, 40, REQUEST_SIZE - 1, REQUEST_SIZE + 1, 60_000];
    for (const size of sizes) channel.write(Buffer.alloc(size, 7));
    await eventually(() => expect(replies.length).toBe(sizes.length + 1));
    expect(new Set(replies.slice(1).map(({ errno }) => errno))).toEqual(new Set(['EBADMSG']));
    expect((await answerTo('HELLO', 99)).errno).toBeNull();
  });

  test('an operation that is not in the list is refused', async () => {
    for (const [i, op] of [0, 99, 4711, 0xffff_ffff].entries()) {
      const record = encodeRequest(500 + i, 'HELLO', {}) as Buffer;
      record.writeUInt32LE(op, 4);
      channel.write(record);
    }
    await eventually(() => expect(replies.length).toBe(5));
    for (const { id, errno } of replies.slice(1)) {
      expect(id).toBeGreaterThanOrEqual(500);
      expect(errno).toMatch(/^E(BADF|OPNOTSUPP)$/);
    }
  });

  test('descriptors that nobody asked for are closed, however many and with whatever record', async () => {
    const before = await countOpenAtRest(broker.pid as number);
    for (let round = 0; round < 30; round++) {
      const fds = Array.from({ length: 1 + round * 8 }, () => openSync('/dev/null', 'r'));
      const record =
        round % 2 ? (encodeRequest(round + 10, 'PROBE_UNIX', {}) as Buffer) : Buffer.alloc(9);
      channel.write(record, fds);
    }
    await eventually(() => expect(replies.length).toBe(31));
    await eventually(() => expect(openFiles()).toBe(before));
  });

  property('random requests leave it alive and without a descriptor more', async (holds) => {
    // A network of its own: an address made up here must lead nowhere.
    const container = await startContainer({ name: 'victim', net: true });
    await answerTo('HOLD', 2, { arg: container.pid });
    const before = await countOpenAtRest(broker.pid as number);
    let sent = 0;
    const request = fc.record({
      op: fc.constantFrom(...(Object.keys(OPS) as Op[])),
      container: fc.oneof(fc.constantFrom(0, 1, 4096, 8192), fc.nat()),
      type: fc.oneof(fc.constantFrom(1, 2, 5), fc.nat()),
      uid: fc.nat(),
      gid: fc.nat(),
      arg: fc.oneof(fc.nat(0xffff), fc.nat(0x7fff_ffff)),
      path: fc.oneof(
        fc.constantFrom('/run/x', '/etc/passwd', '/..', '/dev/null', '/proc/self/fd/3', '/run/x/y'),
        fc.constantFrom('1234', '0123456789abcdef'), // addresses, to the TCP operations
        fc.string({ maxLength: 100 }).filter((text) => !text.includes('\0')),
      ),
    });
    await holds(
      fc.asyncProperty(fc.array(request, { minLength: 50, maxLength: 50 }), async (requests) => {
        for (const { op, ...fields } of requests) {
          // Held on purpose are only dead pids: what is held stays open.
          if (op === 'HOLD') fields.arg = 0x7fff_ff00;
          channel.write(encodeRequest(1_000 + sent++, op, fields) as Buffer);
        }
        await channel.flushed();
      }),
      { runs: 60 },
    );
    await eventually(() => expect(replies.length).toBe(sent + 2));
    expect(broker.exitCode).toBeNull();
    await eventually(() => expect(openFiles()).toBeLessThanOrEqual(before));
    await container.kill();
  });

  test('a full descriptor table is told, and passes', async () => {
    const container = await startContainer({ name: 'full' });
    const open = await countOpenAtRest(broker.pid as number);
    execFileSync('prlimit', ['--pid', String(broker.pid), `--nofile=${open}:`]);
    expect((await answerTo('HOLD', 2, { arg: container.pid })).errno).toBe('EMFILE');
    execFileSync('prlimit', ['--pid', String(broker.pid), '--nofile=1024:']);
    expect((await answerTo('HOLD', 3, { arg: container.pid })).errno).toBeNull();
    await container.kill();
  });

  test('more containers than the table has places are refused, not taken', async () => {
    const container = await startContainer({ name: 'many' });
    execFileSync('prlimit', ['--pid', String(broker.pid), '--nofile=20000:']);
    for (let i = 0; i < 4_100; i++) {
      channel.write(encodeRequest(1_000 + i, 'HOLD', { arg: container.pid }) as Buffer);
      if (i % 100 === 0) await channel.flushed();
    }
    await eventually(() => expect(replies.length).toBe(4_101), { timeoutMs: 15_000 });
    const refused = replies.filter(({ errno }) => errno === 'ENFILE').length;
    expect(refused).toBe(4);
    expect(ended).toBe(false);
    await container.kill();
  });

  test('keeps eleven capabilities, no new privileges, and a filter on every thread', () => {
    for (const thread of readdirSync(`/proc/${broker.pid}/task`)) {
      const field = statusOf(broker.pid as number, Number(thread));
      expect(
        BigInt(`0x${field('CapEff')}`)
          .toString(2)
          .replaceAll('0', '').length,
      ).toBe(11);
      expect(field('CapBnd')).toBe(field('CapEff'));
      expect(field('CapInh')).toBe('0000000000000000');
      expect(field('NoNewPrivs')).toBe('1');
      expect(field('Seccomp')).toBe('2');
    }
  });
});
