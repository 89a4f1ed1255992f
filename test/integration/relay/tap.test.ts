/** A copy of what passes, as the relay tells its daemon: complete, bounded, and of no consequence for the link. */
import { closeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Channel } from '../../../src/relay/channel.js';
import type { LinkTap } from '../../../src/relay/link-tap.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import type { TappedRecord } from '../../../src/relay/protocol.js';
import type { RelayLink } from '../../../src/relay/relay-link.js';
import { countOpenFiles } from '../../support/open-files.js';
import { eventually } from '../../support/wait.js';
import { join, linkOptions, useRelay } from './support.js';

/** All that a tap tells. */
class Watcher {
  readonly records: TappedRecord[] = [];
  readonly tap: LinkTap;

  constructor(link: RelayLink) {
    this.tap = link.tap((record) =>
      this.records.push({ ...record, bytes: Buffer.from(record.bytes) }),
    );
  }

  static async of(link: RelayLink): Promise<Watcher> {
    const watcher = new Watcher(link);
    await watcher.tap.begun;
    return watcher;
  }

  get dropped(): number {
    return this.records.reduce((sum, { dropped }) => sum + dropped, 0);
  }

  bytes(toConsumer: boolean): Buffer {
    return Buffer.concat(
      this.records.filter((record) => record.toConsumer === toConsumer).map(({ bytes }) => bytes),
    );
  }
}

/** Bytes of which no two runs are alike. */
function numbers(count: number): Buffer {
  const bytes = Buffer.alloc(count * 4);
  for (let i = 0; i < count; i++) bytes.writeUInt32LE((i * 2_654_435_761) >>> 0, i * 4);
  return bytes;
}

/** Writes all of it, and resolves with what comes out of the other socket. Takes both. */
function carried(from: number, to: number, bytes: Buffer): Promise<Buffer> {
  const [writer, reader] = [new Channel(from), new Channel(to)];
  const read: Buffer[] = [];
  return new Promise((resolve) => {
    reader.onData = (data) => read.push(data);
    reader.onEnd = () => {
      writer.close();
      reader.close();
      resolve(Buffer.concat(read));
    };
    for (let at = 0; at < bytes.length; at += 65_536) writer.write(bytes.subarray(at, at + 65_536));
    writer.end();
    void writer.flushed().then(() => reader.end());
  });
}

describe('a tap', () => {
  const at = useRelay();

  test('tells of both ways, of each connection, with how many descriptors went along', async () => {
    const { link, consumer, provider } = join(at.relay);
    const watcher = await Watcher.of(link);
    const second = join(at.relay, {}, link);
    const [near, far] = [new Channel(consumer), new Channel(provider)];
    far.onData = (data, fds) => {
      for (const fd of fds) closeSync(fd);
      far.write(Buffer.from(`${data} too`));
    };
    const lent = native.socketPair(SOCKET_TYPES.stream);
    near.write(Buffer.from('with two'), lent);
    native.socketWrite(second.consumer, Buffer.from('other'), 0, 5);
    const before = Date.now();
    await eventually(() => expect(watcher.records).toHaveLength(3));
    const told = watcher.records.map(({ conn, toConsumer, fds, dropped, bytes }) => {
      return [conn, toConsumer ? '<' : '>', bytes.toString(), fds, dropped];
    });
    expect(told.sort()).toEqual([
      [1, '<', 'with two too', 0, 0],
      [1, '>', 'with two', 2, 0],
      [2, '>', 'other', 0, 0],
    ]);
    for (const { time } of watcher.records)
      expect(Math.abs(time / 1_000 - before)).toBeLessThan(60_000);
    expect(await watcher.tap.end()).toBe(0);
    near.close();
    far.close();
    for (const fd of [second.consumer, second.provider]) closeSync(fd);
  });

  test.each([true, false])(
    'has every byte of a stream that else is spliced (fds: %s)',
    async (fds) => {
      const { link, consumer, provider } = join(at.relay, { fds });
      const watcher = await Watcher.of(link);
      const bytes = numbers(2_000_000);
      expect((await carried(consumer, provider, bytes)).equals(bytes)).toBe(true);
      const left = await watcher.tap.end();
      // What its reader had no room for is counted to the byte.
      expect(watcher.bytes(false).length + watcher.dropped + left).toBe(bytes.length);
      if (watcher.dropped + left === 0) expect(watcher.bytes(false).equals(bytes)).toBe(true);
    },
  );

  test('whose reader does not read loses all but a little, and the link nothing', async () => {
    const { link, consumer, provider } = join(at.relay);
    const watcher = await Watcher.of(link);
    watcher.tap.pause();
    const bytes = numbers(2_000_000);
    expect((await carried(consumer, provider, bytes)).equals(bytes)).toBe(true);
    const ended = watcher.tap.end();
    watcher.tap.resume();
    const left = await ended;
    const shown = watcher.bytes(false);
    expect(shown.length).toBeLessThan(2 ** 20);
    expect(shown.equals(bytes.subarray(0, shown.length))).toBe(true);
    expect(shown.length + watcher.dropped + left).toBe(bytes.length);
  });

  test('tells what was left out as soon as there is room again', async () => {
    const { link, consumer, provider } = join(at.relay);
    const watcher = await Watcher.of(link);
    watcher.tap.pause();
    const bytes = numbers(500_000);
    await carried(consumer, provider, bytes);
    watcher.tap.resume();
    await eventually(() =>
      expect(watcher.bytes(false).length + watcher.dropped).toBe(bytes.length),
    );
    expect(watcher.dropped).toBeGreaterThan(0);
    expect(await watcher.tap.end()).toBe(0);
  });

  test('leaves nothing in the relay, however it ends, a thousand times', async () => {
    const { link, consumer, provider } = join(at.relay);
    await link.connections();
    const before = countOpenFiles(at.process.pid);
    for (let i = 0; i < 1_000; i++) {
      const { tap } = new Watcher(link); // which ends the one before it
      if (i % 2 === 0) void tap.end();
    }
    const last = await Watcher.of(link);
    native.socketWrite(consumer, Buffer.from('still'), 0, 5);
    await eventually(() => expect(last.bytes(false).toString()).toBe('still'));
    await last.tap.end();
    await eventually(() => expect(countOpenFiles(at.process.pid)).toBe(before));
    for (const fd of [consumer, provider]) closeSync(fd);
  });

  test('ends with its link, and with its daemon', async () => {
    const { link, consumer, provider } = join(at.relay);
    const gone = await Watcher.of(link);
    await link.close(0);
    expect(await gone.tap.end()).toBe(0);
    for (const fd of [consumer, provider]) closeSync(fd);

    const next = join(at.relay);
    await next.link.connections();
    const before = countOpenFiles(at.process.pid);
    new Watcher(next.link).tap.leave(); // as all that a daemon has is closed with it
    await eventually(() => expect(countOpenFiles(at.process.pid)).toBe(before));
    native.socketWrite(next.consumer, Buffer.from('on'), 0, 2);
    await eventually(() => expect(next.link.stats().toProvider).toBe(2));
    for (const fd of [next.consumer, next.provider]) closeSync(fd);
  });

  test('keeps the bounds of records, also of empty ones', async () => {
    const { link, consumer, provider } = join(at.relay, { type: 'seqpacket' });
    const watcher = await Watcher.of(link);
    const near = new Channel(consumer, true);
    for (const text of ['one', '', 'three']) near.trySend(Buffer.from(text), []);
    await eventually(() => expect(watcher.records).toHaveLength(3));
    expect(watcher.records.map(({ bytes }) => bytes.toString())).toEqual(['one', '', 'three']);
    await watcher.tap.end();
    near.close();
    closeSync(provider);
  });

  test('of a transfer tells of its bytes', async () => {
    const link = at.relay.link(linkOptions({ fds: false }));
    const watcher = await Watcher.of(link);
    const [source, near] = native.socketPair(SOCKET_TYPES.stream);
    const [sink, far] = native.socketPair(SOCKET_TYPES.stream);
    const moving = link.transfer(near, far, { bytes: 5, to: 'consumer' });
    native.socketWrite(source, Buffer.from('12345'), 0, 5);
    expect(await moving).toEqual({ moved: 5, outcome: 'all' });
    await watcher.tap.end();
    expect(watcher.bytes(true).toString()).toBe('12345');
    for (const fd of [source, near, sink, far]) closeSync(fd);
  });
});
