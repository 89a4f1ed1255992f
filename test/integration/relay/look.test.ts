/** Which connections a link has, and which have ended, as the relay tells its daemon. */
import { closeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import { eventually } from '../../support/wait.js';
import { join, linkOptions, useRelay } from './support.js';

describe('the connections of a link', () => {
  const at = useRelay();

  test('are listed with who made them, what has passed, and what they are about', async () => {
    const { link, consumer, provider } = join(at.relay);
    native.socketWrite(consumer, Buffer.from('ten bytes.'), 0, 10);
    await eventually(() => expect(link.stats().toProvider).toBe(10));
    const [near, far] = native.socketPair(SOCKET_TYPES.stream);
    const [client, other] = native.socketPair(SOCKET_TYPES.stream);
    link.join(near, client, {}, 'a label');
    const [first, second, ...more] = await link.connections();
    const own = { pid: process.pid, uid: 0, gid: 0, joined: true, remote: null };
    expect(first).toMatchObject({ ...own, toProvider: 10, toConsumer: 0, label: '' });
    expect(second).toMatchObject({ ...own, toProvider: 0, label: 'a label' });
    expect(more).toEqual([]);
    const now = Number(process.hrtime.bigint() / 1_000_000n);
    expect(now - (first?.since ?? 0)).toBeLessThan(60_000);
    for (const fd of [consumer, provider, far, other]) closeSync(fd);
  });

  test('are all listed, in their order, where one record does not hold them', async () => {
    const link = at.relay.link(linkOptions({ maxConnections: 2_000 }));
    const label = 'x'.repeat(256);
    const ends: number[] = [];
    for (let i = 0; i < 450; i++) {
      const [near, far] = native.socketPair(SOCKET_TYPES.stream);
      const [client, other] = native.socketPair(SOCKET_TYPES.stream);
      link.join(near, client, {}, label);
      ends.push(far, other);
    }
    const all = await link.connections();
    expect(all.map(({ conn }) => conn)).toEqual(Array.from({ length: 450 }, (_, i) => i + 1));
    expect(all.every((one) => one.label === label)).toBe(true);
    for (const fd of ends) closeSync(fd);
    await eventually(async () => expect(await link.connections()).toEqual([]));
  });

  test('are told when they end, for as long as somebody wants to know', async () => {
    const { link, consumer, provider } = join(at.relay);
    const ends: unknown[] = [];
    const stop = link.watch((record, reason) => ends.push([record.conn, record.pid, reason]));
    for (const fd of [consumer, provider]) closeSync(fd);
    await eventually(() => expect(ends).toEqual([[1, process.pid, 'eof']]));
    stop();
    const next = join(at.relay, {}, link);
    for (const fd of [next.consumer, next.provider]) closeSync(fd);
    await eventually(() => expect(link.stats()).toMatchObject({ active: 0, closes: { eof: 2 } }));
    expect(await link.connections()).toEqual([]);
    expect(ends).toHaveLength(1);
  });

  test('are asked of a link that is gone without harm', async () => {
    const { link } = join(at.relay);
    const asked = link.connections();
    await link.close(0);
    expect((await asked).length).toBeLessThanOrEqual(1);
    expect(await link.connections()).toEqual([]);
    link.watch(() => undefined)();
  });
});
