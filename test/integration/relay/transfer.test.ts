/** Bytes moved once between two sockets that stay ours: exactly so many, to the end, or until something breaks. */
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Channel } from '../../../src/relay/channel.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import type { RelayLink } from '../../../src/relay/relay-link.js';
import { readAll } from '../../support/peers.js';
import { startRelay, type TestRelay } from '../../support/relay.js';
import { someBytes } from '../../support/some-bytes.js';
import { atRest, eventually, pause } from '../../support/wait.js';
import { linkOptions, openFds } from './support.js';

const MiB = 1024 * 1024;

/** A channel of ours, and the far end. */
interface End {
  readonly near: Channel;
  readonly far: net.Socket;
}

function end(): End {
  const [near, far] = native.socketPair(SOCKET_TYPES.stream);
  const channel = new Channel(near);
  channel.pause();
  const socket = new net.Socket({ fd: far, readable: true, writable: true, allowHalfOpen: true });
  socket.on('error', () => undefined);
  return { near: channel, far: socket };
}

/** The next so many bytes; it is an error when more come. */
async function take(socket: net.Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let missing = length;
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      missing -= chunk.length;
      if (missing <= 0) resolve();
    });
    socket.resume();
  });
  socket.removeAllListeners('data').pause();
  expect(missing).toBe(0);
  return Buffer.concat(chunks);
}

describe('a transfer', () => {
  let started: TestRelay;
  let link: RelayLink;
  let source: End;
  let sink: End;
  beforeEach(async () => {
    started = await startRelay();
    link = started.relay.link(linkOptions({ fds: false }));
    source = end();
    sink = end();
  });
  afterEach(async () => {
    for (const { near, far } of [source, sink]) {
      near.close();
      far.destroy();
    }
    await started.stop();
  });

  const move = (options: Partial<Parameters<RelayLink['transfer']>[2]> = {}) =>
    link.transfer(source.near.fd, sink.near.fd, { bytes: Infinity, to: 'provider', ...options });

  test.each([1, 100, 16_384, 16_385, 300_000, 5 * MiB])(
    'moves exactly %i bytes, and the next one is still to be read from the source',
    async (bytes) => {
      const sent = someBytes(bytes + 10);
      source.far.write(sent);
      const arrived = take(sink.far, bytes);
      expect(await move({ bytes })).toEqual({ moved: bytes, outcome: 'all' });
      expect((await arrived).equals(sent.subarray(0, bytes))).toBe(true);
      const rest = new Promise<Buffer>((resolve) => {
        source.near.onData = resolve;
      });
      source.near.resume();
      expect(await rest).toEqual(sent.subarray(bytes));
      expect(link.stats()).toMatchObject({ toProvider: bytes, toConsumer: 0, active: 0, total: 0 });
    },
  );

  test('leaves both ends usable in both directions', async () => {
    source.far.write('one');
    await move({ bytes: 3 });
    source.near.write(Buffer.from('to the source'));
    sink.near.write(Buffer.from(' and on'));
    expect(String(await take(source.far, 13))).toBe('to the source');
    expect(String(await take(sink.far, 10))).toBe('one and on');
  });

  test('moves everything until the end of the source, and passes that on only where it is asked to', async () => {
    source.far.end(someBytes(3 * MiB));
    const all = readAll(sink.far);
    expect(await move()).toEqual({ moved: 3 * MiB, outcome: 'eof' });
    sink.near.write(Buffer.from('still open'));
    sink.near.end();
    expect((await all).subarray(3 * MiB).toString()).toBe('still open');
  });

  test('half-closes the sink at the end where it is asked to, and the other direction goes on', async () => {
    source.far.end('request');
    const all = readAll(sink.far);
    expect(await move({ end: true })).toMatchObject({ outcome: 'eof' });
    expect(String(await all)).toBe('request');
    sink.far.write('answer');
    const answer = new Promise<Buffer>((resolve) => {
      sink.near.onData = resolve;
    });
    sink.near.resume();
    expect(String(await answer)).toBe('answer');
  });

  test('says how much came before an early end', async () => {
    source.far.end('short');
    expect(await move({ bytes: 100 })).toEqual({ moved: 5, outcome: 'eof' });
  });

  test('both directions at once between the same two ends do not disturb each other', async () => {
    source.far.write(someBytes(4 * MiB));
    sink.far.write(someBytes(4 * MiB, 1));
    const [there, back] = [take(sink.far, 4 * MiB), take(source.far, 4 * MiB)];
    const [up, down] = await Promise.all([
      move({ bytes: 4 * MiB }),
      link.transfer(sink.near.fd, source.near.fd, { bytes: 4 * MiB, to: 'consumer' }),
    ]);
    await Promise.all([there, back]);
    expect([up.outcome, down.outcome]).toEqual(['all', 'all']);
    expect(link.stats()).toMatchObject({ toProvider: 4 * MiB, toConsumer: 4 * MiB });
  });

  test('reads no more than a bounded amount for a sink that takes nothing', async () => {
    source.far.write(someBytes(8 * MiB));
    const moving = move({ bytes: 8 * MiB });
    await atRest(() => source.far.writableLength);
    expect(source.far.writableLength).toBeGreaterThan(4 * MiB);
    await take(sink.far, 8 * MiB);
    expect(await moving).toEqual({ moved: 8 * MiB, outcome: 'all' });
  });

  test('ends when the sink is gone, without waiting for the source to say something', async () => {
    const moving = move({ bytes: 100 });
    sink.far.destroy();
    expect(await moving).toEqual({ moved: 0, outcome: 'sink' });
  });

  test('ends when nothing moves for too long, and not while something does', async () => {
    const moving = move({ bytes: 6, idleMs: 300 });
    for (let i = 0; i < 5; i++) {
      await pause(150); // a source that is slow, but never for as long as `idleMs`
      source.far.write('x');
    }
    expect(await moving).toEqual({ moved: 5, outcome: 'silent' });
  });

  test('waits for a source longer than for a sink, where that is wanted', async () => {
    source.far.write(Buffer.alloc(4 * MiB));
    const stuck = await move({ bytes: 8 * MiB, idleMs: 200, silenceMs: 60_000 });
    expect(stuck.outcome).toBe('idle'); // nobody reads at the far end
  });

  test('is cancelled by its signal, by the end of its link, and by the end of the relay', async () => {
    const controller = new AbortController();
    const moving = move({ signal: controller.signal });
    controller.abort();
    expect(await moving).toEqual({ moved: 0, outcome: 'cancelled' });
    expect((await move({ signal: controller.signal })).outcome).toBe('cancelled');
    const second = move();
    await link.close(0);
    expect((await second).outcome).toBe('cancelled');
    expect((await move()).outcome).toBe('cancelled');
    link = started.relay.link(linkOptions({ fds: false }));
    const third = move();
    started.relay.stop();
    expect((await third).outcome).toBe('cancelled');
  });

  test('of nothing is done at once; to a closed channel it is cancelled', async () => {
    expect(await move({ bytes: 0 })).toEqual({ moved: 0, outcome: 'all' });
    sink.near.close();
    expect((await move({ bytes: 1 })).outcome).toBe('cancelled');
  });

  test('leaves no descriptor behind', async () => {
    source.far.write('warm');
    await move({ bytes: 4 });
    const open = () => `${openFds()} ${openFds(started.pid)}`;
    const before = await atRest(open);
    for (let i = 0; i < 50; i++) {
      source.far.write('x');
      await move({ bytes: 1, idleMs: 1_000 });
    }
    await eventually(() => expect(open()).toBe(before));
  });
});

describe('a join', () => {
  test('sends each side what was read of the other before', async () => {
    const { relay, stop } = await startRelay();
    const link = relay.link(linkOptions());
    const [consumer, provider] = [end(), end()];
    link.join(consumer.near.release(), provider.near.release(), {
      toConsumer: Buffer.from('switching '),
      toProvider: someBytes(2 * MiB),
    });
    provider.far.write('protocols');
    consumer.far.end('!');
    expect(String(await take(consumer.far, 19))).toBe('switching protocols');
    const all = await readAll(provider.far);
    expect(all.length).toBe(2 * MiB + 1);
    expect(all.at(-1)).toBe('!'.charCodeAt(0));
    consumer.far.destroy();
    provider.far.destroy();
    await stop();
  });
});
