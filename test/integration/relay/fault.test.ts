/** A provider that is made worse: each way of it, that nothing else changes, and that all is as before when it ends. */
import { closeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Channel } from '../../../src/relay/channel.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import type { RelayFault, RelayLink } from '../../../src/relay/relay-link.js';
import { countOpenFiles } from '../../support/open-files.js';
import { eventually } from '../../support/wait.js';
import { join, linkOptions, useRelay } from './support.js';

const NONE: RelayFault = { delayMs: 0, rate: 0, refuse: false, resets: new Uint32Array() };
const NEVER = 2 ** 32 - 1;

/** Begins it, and resolves once the relay has it. */
async function faulty(link: RelayLink, fault: Partial<RelayFault>): Promise<() => void> {
  const end = link.fault({ ...NONE, ...fault });
  await link.connections();
  return end;
}

/** Bytes of which no two runs are alike. */
function numbers(count: number): Buffer {
  const bytes = Buffer.alloc(count * 4);
  for (let i = 0; i < count; i++) bytes.writeUInt32LE((i * 2_654_435_761) >>> 0, i * 4);
  return bytes;
}

/** What comes at a socket, and when its first byte did and its end. Takes it. */
class Reader {
  readonly #pieces: Buffer[] = [];
  readonly channel: Channel;
  first = 0;
  fds = 0;
  ended = false;

  constructor(fd: number, records = false) {
    this.channel = new Channel(fd, records);
    this.channel.onData = (data, fds) => {
      this.first ||= performance.now();
      this.#pieces.push(data);
      this.fds += fds.length;
      for (const each of fds) closeSync(each);
    };
    this.channel.onEnd = () => {
      this.ended = true;
    };
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  get records(): string[] {
    return this.#pieces.map(String);
  }
}

describe('a fault', () => {
  const at = useRelay();

  test.each([true, false])(
    'delays what the provider says, and not what it is told (fds: %s)',
    async (fds) => {
      const { link, consumer, provider } = join(at.relay, { fds });
      const end = await faulty(link, { delayMs: 300 });
      const [near, far] = [new Reader(consumer), new Reader(provider)];
      const begun = performance.now();
      near.channel.write(Buffer.from('question'));
      far.channel.write(Buffer.from('an'));
      far.channel.write(Buffer.from('swer'));
      await eventually(() => expect(near.bytes.toString()).toBe('answer'));
      expect(near.first - begun).toBeGreaterThanOrEqual(295);
      expect(far.first - begun).toBeLessThan(near.first - begun);
      far.channel.end();
      end();
      await eventually(() => expect(near.ended).toBe(true));
      near.channel.close();
      far.channel.close();
    },
  );

  test('lets so many bytes pass in a second, and loses none, also not when it ends within', async () => {
    const { link, consumer, provider } = join(at.relay);
    const end = await faulty(link, { rate: 100_000 });
    const bytes = numbers(200_000);
    const [near, far] = [new Reader(consumer), new Reader(provider)];
    const begun = performance.now();
    far.channel.write(bytes.subarray(0, 400_000));
    near.channel.write(bytes.subarray(400_000));
    for (const { channel } of [near, far]) void channel.flushed().then(() => channel.end());
    await eventually(() => expect(near.bytes.length).toBeGreaterThan(40_000));
    // As there is credit for a moment, it is a little more than the time has room for.
    expect(near.bytes.length).toBeLessThan((performance.now() - begun) * 100 + 10_000);
    expect(far.bytes.length).toBeGreaterThan(0);
    end();
    await eventually(() => expect([near.ended, far.ended]).toEqual([true, true]));
    expect(near.bytes.equals(bytes.subarray(0, 400_000))).toBe(true);
    expect(far.bytes.equals(bytes.subarray(400_000))).toBe(true);
    near.channel.close();
    far.channel.close();
  });

  test('breaks off the connections that the plan has, at their byte, or at their end', async () => {
    const link = at.relay.link(linkOptions());
    const plan = [5, NEVER, 0, 1_000];
    const end = await faulty(link, { resets: new Uint32Array(plan) });
    const all = plan.concat(plan).map(() => {
      const { consumer, provider } = join(at.relay, {}, link);
      return { near: new Reader(consumer), far: new Reader(provider) };
    });
    for (const { far } of all) far.channel.write(Buffer.from('ten bytes.'));
    await eventually(() => {
      const heard = all.map(({ near }) => near.bytes.length);
      expect(heard).toEqual([5, 10, 0, 10, 5, 10, 0, 10]);
      expect(all.map(({ near }) => near.ended)).toEqual([
        true,
        false,
        true,
        false,
        true,
        false,
        true,
        false,
      ]);
    });
    for (const { far } of all) far.channel.end();
    for (const { near } of all) near.channel.end();
    await eventually(() =>
      expect(link.stats()).toMatchObject({ active: 0, closes: { reset: 6, eof: 2 } }),
    );
    end();
    const { consumer, provider } = join(at.relay, {}, link);
    closeSync(provider);
    const last = new Reader(consumer);
    await eventually(() => expect(last.ended).toBe(true));
    for (const { near, far } of all) for (const { channel } of [near, far]) channel.close();
    last.channel.close();
    await eventually(() => expect(link.stats()).toMatchObject({ closes: { reset: 6, eof: 3 } }));
  });

  test('keeps descriptors with their byte, and the bounds of records', async () => {
    const { link, consumer, provider } = join(at.relay);
    const end = await faulty(link, { delayMs: 20, rate: 1_000 });
    const [near, far] = [new Reader(consumer), new Reader(provider)];
    for (let i = 0; i < 5; i++) {
      far.channel.write(Buffer.alloc(30, i), native.socketPair(SOCKET_TYPES.stream));
      near.channel.write(Buffer.alloc(30, i), native.socketPair(SOCKET_TYPES.stream));
    }
    await eventually(() => {
      expect([near.bytes.length, far.bytes.length, near.fds, far.fds]).toEqual([150, 150, 10, 10]);
    });
    end();
    const records = join(at.relay, { type: 'seqpacket' });
    const endRecords = await faulty(records.link, { delayMs: 20, rate: 100 });
    const [left, right] = [new Reader(records.consumer, true), new Reader(records.provider, true)];
    const texts = ['one', 'twice as long', 'three', 'x'.repeat(20)];
    for (const text of texts) right.channel.trySend(Buffer.from(text), []);
    await eventually(() => expect(left.records).toEqual(texts));
    endRecords();
    for (const { channel } of [near, far, left, right]) channel.close();
  });

  test('ends when its asker closes its end, and leaves nothing behind, also after hundreds', async () => {
    const { link, consumer, provider } = join(at.relay);
    await link.connections();
    const before = countOpenFiles(at.process.pid);
    const ends: (() => void)[] = [];
    for (let i = 0; i < 500; i++) {
      ends.push(link.fault({ ...NONE, delayMs: 60_000 })); // which ends the one before it
      if (i % 2 === 0) ends[i]?.();
    }
    await link.connections();
    const near = new Reader(consumer);
    native.socketWrite(provider, Buffer.from('late'), 0, 4);
    await link.connections();
    expect(near.bytes.length).toBe(0);
    for (const end of ends) end();
    await eventually(() => expect(near.bytes.toString()).toBe('late'));
    expect(countOpenFiles(at.process.pid)).toBe(before);
    near.channel.close();
    closeSync(provider);
  });

  test('of datagrams drops as many as the plan has, or all', async () => {
    const link = at.relay.link(linkOptions({ type: 'dgram' }));
    const [listener, sender] = native.socketPair(SOCKET_TYPES.dgram);
    link.listen(listener, 'forward', null);
    const send = (text: string) => native.socketWrite(sender, Buffer.from(text), 0, text.length);
    const end = await faulty(link, { resets: new Uint32Array([0, NEVER, 0, NEVER]) });
    for (const text of ['a', 'b', 'c', 'd']) send(text);
    await eventually(() => expect(link.stats().closes).toMatchObject({ reset: 2 }));
    end();
    const endRefusing = await faulty(link, { refuse: true });
    send('e');
    await eventually(() => expect(link.stats().closes).toMatchObject({ reset: 2, refused: 1 }));
    endRefusing();
    closeSync(sender);
  });
});
