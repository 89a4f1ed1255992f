import { closeSync, openSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Broker } from '../../../src/broker/client.js';
import type { MessageChannel } from '../../../src/broker/message-channel.js';
import { OPS, REPLY_SIZE } from '../../../src/broker/protocol.js';
import { closed } from '../../support/descriptors.js';

/** The broker's end, by hand. */
class Peer implements MessageChannel {
  onMessage: MessageChannel['onMessage'] = null;
  onEnd: MessageChannel['onEnd'] = null;
  readonly requests: { id: number; op: number; container: number; arg: number }[] = [];

  send(record: Buffer): void {
    const [id, op, container, arg] = [0, 4, 8, 24].map((at) => record.readUInt32LE(at)) as [
      number,
      number,
      number,
      number,
    ];
    this.requests.push({ id, op, container, arg });
  }

  close(): void {}

  reply(id: number, { errno = 0, value = 0, data = '', fds = [] as number[] } = {}): void {
    const record = Buffer.alloc(REPLY_SIZE + data.length);
    record.writeUInt32LE(id, 0);
    record.writeUInt32LE(errno, 4);
    record.writeUInt32LE(value, 8);
    record.writeUInt32LE(data.length, 12);
    record.write(data, REPLY_SIZE);
    this.onMessage?.(record, fds);
  }
}

function connect(incarnation = 0): { peer: Peer; broker: Broker } {
  const peer = new Peer();
  return { peer, broker: new Broker(peer, incarnation) };
}

describe('the client of the broker', () => {
  test('matches answers that come in another order than they were asked in', async () => {
    const { peer, broker } = connect();
    const first = broker.read(1, '/a');
    const second = broker.read(1, '/b');
    peer.reply(peer.requests[1]?.id as number, { data: 'second' });
    peer.reply(peer.requests[0]?.id as number, { data: 'first' });
    expect((await first).ok && (await first)).toMatchObject({ value: Buffer.from('first') });
    expect(await second).toMatchObject({ ok: true, value: Buffer.from('second') });
  });

  test('has at most 64 requests under way, and sends the next when one is answered', async () => {
    const { peer, broker } = connect();
    const all = Array.from({ length: 100 }, () => broker.probeUnix(1, '/a'));
    expect(peer.requests).toHaveLength(64);
    peer.reply(1);
    expect(peer.requests).toHaveLength(65);
    for (let i = 0; i < 100; i++) {
      const request = peer.requests[i];
      if (request && request.id !== 1) peer.reply(request.id);
    }
    expect((await Promise.all(all)).every((result) => result.ok)).toBe(true);
  });

  test('passes over the number of a request that still hangs when the counter has gone around', () => {
    const { peer, broker } = connect();
    void broker.probeUnix(1, '/hangs');
    for (let i = 0; i < 1000; i++) {
      void broker.probeUnix(1, '/a');
      peer.reply(peer.requests.at(-1)?.id as number);
    }
    expect(peer.requests.slice(1).some(({ id }) => id === peer.requests[0]?.id)).toBe(false);
  });

  test('names the errno of a failure and closes a descriptor that came with it', async () => {
    const { peer, broker } = connect();
    const fd = openSync('/dev/null', 'r');
    const result = broker.connectUnix(1, 'stream', '/s', 0, 0);
    peer.reply(1, { errno: 2, fds: [fd] });
    expect(await result).toEqual({ ok: false, errno: 'ENOENT' });
    await closed(fd);
  });

  test('says EMFILE where the descriptor of an answer was lost on the way', async () => {
    const { peer, broker } = connect();
    const result = broker.listenUnix(1, 'stream', '/s');
    peer.reply(1, { value: 5 });
    expect(await result).toEqual({ ok: false, errno: 'EMFILE' });
  });

  test('undoes what was made where its descriptor was lost on the way', async () => {
    const { peer, broker } = connect();
    const [held, planted] = [broker.hold(4711, 0), broker.listenUnix(1, 'stream', '/s')];
    peer.reply(1, { value: 6 });
    peer.reply(2, { value: 5 });
    expect(await held).toEqual({ ok: false, errno: 'EMFILE' });
    expect(await planted).toEqual({ ok: false, errno: 'EMFILE' });
    expect(peer.requests.slice(2)).toMatchObject([
      { op: OPS.RELEASE, container: 6 },
      { op: OPS.REMOVE, arg: 5 },
    ]);
  });

  test('keeps one descriptor of an answer and closes any other', async () => {
    const { peer, broker } = connect();
    const [one, two] = [openSync('/dev/null', 'r'), openSync('/dev/null', 'r')];
    const result = broker.runtime();
    peer.reply(1, { fds: [one, two] });
    expect(await result).toEqual({ ok: true, value: one });
    await closed(two);
    closeSync(one);
  });

  test('closes the descriptors of an answer that nobody asked for', async () => {
    const { peer } = connect();
    const fd = openSync('/dev/null', 'r');
    peer.reply(4711, { fds: [fd] });
    await closed(fd);
  });

  test('answers EPIPE to all, waiting and later, and says once that it is lost', async () => {
    const { peer, broker } = connect();
    let lost = 0;
    broker.onLost = () => lost++;
    const all = Array.from({ length: 70 }, () => broker.probeUnix(1, '/a'));
    peer.onEnd?.();
    peer.onEnd?.();
    for (const result of await Promise.all(all)) {
      expect(result).toEqual({ ok: false, errno: 'EPIPE' });
    }
    expect(await broker.read(1, '/a')).toEqual({ ok: false, errno: 'EPIPE' });
    expect(lost).toBe(1);
  });

  test('refuses a path that does not fit without asking', async () => {
    const { peer, broker } = connect();
    expect(await broker.probeUnix(1, `/${'a'.repeat(1024)}`)).toEqual({
      ok: false,
      errno: 'EINVAL',
    });
    expect(peer.requests).toEqual([]);
  });

  test('says which incarnation of the daemon asks, and refuses a broker of another version', async () => {
    const { peer, broker } = connect(7);
    const result = broker.hello();
    expect(peer.requests[0]).toMatchObject({ op: OPS.HELLO, arg: 7 });
    peer.reply(7 * 2 ** 20 + 1, { value: 999 });
    expect(await result).toEqual({ ok: false, errno: 'EPROTO' });
  });

  test('keeps to the ids of its incarnation, and closes what an earlier one was answered', async () => {
    const { peer, broker } = connect(4097);
    const held = broker.hold(4711, 0);
    const fd = openSync('/dev/null', 'r');
    peer.reply(1, { fds: [fd] });
    await closed(fd);
    expect(peer.requests[0]?.id).toBe(2 ** 20 + 1); // modulo 4096
    peer.reply(2 ** 20 + 1, { errno: 3 });
    expect(await held).toEqual({ ok: false, errno: 'ESRCH' });
  });
});

describe('what is handed over to a successor', () => {
  const opsOf = (peer: Peer) => peer.requests.map(({ op }) => op);

  test('stays as it is: what would change it waits, what connects goes on', async () => {
    const { peer, broker } = connect();
    const holding = broker.hold(10, 0);
    let frozen = false;
    const freezing = broker.freeze().then(() => {
      frozen = true;
    });
    const removing = broker.remove(7);
    void broker.probeUnix(1, '/a');
    expect(opsOf(peer)).toEqual([OPS.HOLD, OPS.PROBE_UNIX]);
    await Promise.resolve();
    expect(frozen).toBe(false);
    peer.reply(peer.requests[0]?.id as number, { errno: 3 });
    await freezing;
    await holding;
    broker.thaw();
    expect(opsOf(peer)).toEqual([OPS.HOLD, OPS.PROBE_UNIX, OPS.REMOVE]);
    peer.reply(peer.requests[2]?.id as number);
    expect((await removing).ok).toBe(true);
  });

  test('is not undone any more: that is said to be done, and nothing is made', async () => {
    const { peer, broker } = connect();
    await broker.freeze();
    const waiting = broker.remove(7);
    broker.leave();
    expect((await waiting).ok).toBe(true);
    await broker.release(3);
    expect((await broker.sweep()).ok).toBe(true);
    expect(await broker.hold(10, 0)).toEqual({ ok: false, errno: 'EPIPE' });
    expect(await broker.listenUnix(1, 'stream', '/a')).toEqual({ ok: false, errno: 'EPIPE' });
    expect(peer.requests).toEqual([]);
    void broker.connectUnix(1, 'stream', '/a', 0, 0);
    expect(opsOf(peer)).toEqual([OPS.CONNECT_UNIX]);
  });

  test('fails with the broker, what waited too', async () => {
    const { peer, broker } = connect();
    void broker.hold(10, 0);
    const freezing = broker.freeze();
    const waiting = broker.remove(7);
    peer.onEnd?.();
    await freezing;
    expect(await waiting).toEqual({ ok: false, errno: 'EPIPE' });
  });
});
