/** The client of the relay, opposite a test that says what a relay may say, in any order. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LITTLE } from '../../../src/kernel/word.js';
import { Channel } from '../../../src/relay/channel.js';
import { type NativeCounters, native, SOCKET_TYPES } from '../../../src/relay/native.js';
import { EVENTS, type EventType, OPS, RELAY_VERSION } from '../../../src/relay/protocol.js';
import { Relay, type StandingLink } from '../../../src/relay/relay.js';
import { countOpenFiles } from '../../support/open-files.js';
import { atRest, eventually } from '../../support/wait.js';

const INCARNATION = 3;

interface Said {
  readonly op: number;
  readonly link: number;
  readonly conn: number;
  readonly fds: number[];
}

/** The other end of the channel. */
class FarEnd {
  readonly said: Said[] = [];
  readonly #channel: Channel;

  constructor(fd: number) {
    this.#channel = new Channel(fd, true);
    this.#channel.onData = (record, fds) => {
      const [op = 0, link = 0, conn = 0] = Array.from({ length: 3 }, (_, i) =>
        LITTLE ? record.readUInt32LE(4 * i) : record.readUInt32BE(4 * i),
      );
      this.said.push({ op, link, conn, fds });
    };
  }

  /** One event in a record of its own. Takes the descriptor. */
  say(
    type: EventType,
    {
      link = 0,
      conn = 0,
      error = 0,
      bytes = 0,
    }: { link?: number; conn?: number; error?: number; bytes?: number } = {},
    fd = -1,
    note = '',
  ): void {
    const words = [EVENTS[type], link, conn, error, ...(LITTLE ? [bytes, 0] : [0, bytes])];
    words.push(fd < 0 ? 0 : 1, note.length);
    const record = Buffer.concat([Buffer.from(Uint32Array.from(words).buffer), Buffer.from(note)]);
    this.#channel.write(record, fd < 0 ? [] : [fd]);
  }

  raw(record: Buffer): void {
    this.#channel.write(record);
  }

  flushed(): Promise<void> {
    return this.#channel.flushed();
  }

  close(): void {
    this.#channel.close();
  }
}

/** A client, and the test's own end of it. */
function client(): { near: number; far: number } {
  const [near, far] = native.socketPair(SOCKET_TYPES.stream);
  return { near, far };
}

const isClosed = (far: number) =>
  eventually(() => expect(native.socketRead(far, Buffer.alloc(1))).toBe(0));

describe('the client of the relay', () => {
  let relay: Relay;
  let far: FarEnd;
  const clients: number[] = [];
  beforeEach(() => {
    const [near, other] = native.socketPair(SOCKET_TYPES.seqpacket);
    relay = new Relay(near, { incarnation: INCARNATION });
    far = new FarEnd(other);
  });
  afterEach(() => {
    relay.stop();
    far.close();
    vi.restoreAllMocks();
    for (const fd of clients.splice(0)) closeSync(fd);
  });

  const handed = (link: number): number => {
    const { near, far: end } = client();
    clients.push(end);
    far.say('HANDED', { link }, near);
    return end;
  };

  test('says who it is, and is told by a memory that is none that the relay is of another kind', async () => {
    const greeting = relay.hello();
    await eventually(() =>
      expect(far.said).toMatchObject([{ op: OPS.HELLO, conn: INCARNATION, fds: [] }]),
    );
    far.say('WELCOME', { conn: INCARNATION, error: RELAY_VERSION }, openSync('/dev/null', 'r'));
    expect(await greeting).toEqual({ ok: false, errno: 'EPROTO' });
  });

  test('is refused by a relay of another version', async () => {
    const greeting = relay.hello();
    far.say('WELCOME', { conn: INCARNATION, error: RELAY_VERSION + 1 });
    expect(await greeting).toEqual({ ok: false, errno: 'EPROTO' });
  });

  test('passes over what is meant for the daemon before it', async () => {
    const greeting = relay.hello();
    const before = await atRest(() => countOpenFiles(process.pid));
    far.say('WELCOME', { conn: INCARNATION - 1, error: RELAY_VERSION }, openSync('/dev/null', 'r'));
    far.say('STANDING', { link: 1 }, -1, 'of long ago');
    far.say('COMPLETE', { conn: INCARNATION - 1 });
    far.say('MOVED', { link: 1, conn: 1 });
    far.say('UPSTREAM', { link: 1, error: 111 });
    far.close();
    expect(await greeting).toEqual({ ok: false, errno: 'EPIPE' });
    await eventually(() => expect(countOpenFiles(process.pid)).toBe(before - 2));
  });

  test.each([
    ['ends', () => far.close()],
    ['says what is no event', () => far.raw(Buffer.alloc(31))],
  ])('ends with a relay that %s', async (_what, end) => {
    let lost = 0;
    relay.onLost = () => lost++;
    const greeting = relay.hello();
    const end1 = handed(1);
    end();
    expect(await greeting).toEqual({ ok: false, errno: 'EPIPE' });
    expect(lost).toBe(1);
    await isClosed(end1);
    expect(() => relay.link(OPTIONS)).toThrow('has ended');
  });

  test('closes clients that a relay had handed over before it was started anew', async () => {
    void relay.hello();
    const [first, second] = [handed(1), handed(2)];
    far.say('GONE', { link: 2 });
    await isClosed(second);
    far.say('BORN');
    await isClosed(first);
  });

  /** Says hello, and hears that these stand. */
  const greeted = async (...links: number[]): Promise<readonly StandingLink[]> => {
    vi.spyOn(native, 'countersMap').mockImplementation((fd) => {
      closeSync(fd); // only a memfd can be sealed as it has to be
      return {} as NativeCounters;
    });
    vi.spyOn(native, 'countersRead').mockReturnValue(undefined);
    const greeting = relay.hello();
    far.say('WELCOME', { conn: INCARNATION, error: RELAY_VERSION }, openSync('/dev/null', 'r'));
    for (const link of links) far.say('STANDING', { link, conn: 1 });
    far.say('COMPLETE', { conn: INCARNATION });
    const standing = await greeting;
    if (!standing.ok) throw new Error(standing.errno);
    return standing.value;
  };

  test('keeps of what happens to a link that nobody adopts only what counts, however long that takes', async () => {
    const [one] = (await greeted(1)) as [StandingLink];
    for (let i = 1; i <= 3_000; i++) {
      far.say('UPSTREAM', { link: 1, error: i % 2 ? 111 : 2 });
      far.say('PENDING', { link: 1, conn: i * 2 });
      far.say('MOVED', { link: 1, conn: i, bytes: 1 });
    }
    for (let i = 1; i <= 3_000; i++) far.say('PENDING', { link: 1, conn: i * 2 + 1 });
    await far.flushed();
    const far2 = client();
    clients.push(far2.far);
    far.say('HANDED', { link: 2 }, far2.near); // behind all others, and of a link that there is none of
    await isClosed(far2.far);
    const told: [string, number][] = [];
    relay.adopt(one, {
      onPending: (connection) => told.push(['pending', connection]),
      onUpstream: (errno) => told.push(['upstream', errno]),
    });
    await Promise.resolve();
    expect(told.length).toBeLessThanOrEqual(4_096);
    expect(told.filter(([what]) => what === 'upstream').length).toBeLessThanOrEqual(1);
    expect(told.at(-1)).toEqual(['pending', 6_001]);
  });

  test('keeps the clients of a link that has few where another one has too many', async () => {
    const [one, two] = (await greeted(1, 2)) as [StandingLink, StandingLink];
    const flood = Array.from({ length: 1_024 }, () => handed(1));
    const late = handed(2);
    await isClosed(flood.at(-1) as number);
    const got: number[] = [];
    relay.adopt(two, { onHanded: (fd) => got.push(fd) });
    await Promise.resolve();
    expect(got).toHaveLength(1);
    closeSync(got[0] as number);
    await isClosed(late);
    void relay.forget(one, 0);
    await isClosed(flood[0] as number);
  });

  test('closes a client of a link that it has none of once it serves, or that nobody wants', async () => {
    const link = relay.link(OPTIONS);
    far.say('BORN');
    await isClosed(handed(link.number));
  });

  test('sends descriptors that stay open here, and ones that do not', async () => {
    const link = relay.link(OPTIONS);
    const [one, two, three] = [client(), client(), client()];
    clients.push(one.far, two.far, three.far, one.near, two.near);
    const moving = link.transfer(one.near, two.near, { bytes: 1, to: 'provider' });
    const leading = link.led(one.near);
    link.listen(three.near, 'hand', null);
    await eventually(() =>
      expect(far.said.map(({ op, fds }) => [op, fds.length])).toEqual([
        [OPS.LINK, 0],
        [OPS.TRANSFER, 2],
        [OPS.LED, 1],
        [OPS.LISTEN, 1],
      ]),
    );
    expect(fstatSync(one.near).isSocket()).toBe(true);
    const [, transfer, led] = far.said as [Said, Said, Said];
    expect([transfer.conn >>> 20, led.conn >>> 20]).toEqual([INCARNATION, INCARNATION]);
    far.say('MOVED', { link: link.number, conn: transfer.conn - 2 ** 20, bytes: 9 });
    far.say('MOVED', { link: link.number, conn: transfer.conn, bytes: 1 });
    far.say('LED', { link: link.number, conn: led.conn, error: 2 });
    expect(await moving).toEqual({ moved: 1, outcome: 'all' });
    expect(await leading).toBe('back');
    for (const { fds } of far.said) for (const fd of fds) closeSync(fd);
    await isClosed(three.far); // no one else has it
  });

  test('says nothing more of a link that is gone, whose number the next one has', async () => {
    const link = relay.link(OPTIONS);
    const other = relay.link(OPTIONS);
    const stopped = link.stop();
    const { near, far: end } = client();
    clients.push(end, near);
    const asked = [link.led(near), link.transfer(near, near, { bytes: 1, to: 'provider' })];
    far.say('GONE', { link: link.number });
    await link.gone;
    await stopped;
    expect(await Promise.all(asked)).toEqual(['on', { moved: 0, outcome: 'cancelled' }]);
    const next = relay.link(OPTIONS);
    expect([link.number, other.number, next.number]).toEqual([1, 2, 1]);
    await atRest(() => far.said.length);
    const before = far.said.length;
    const late = client();
    clients.push(late.far);
    link.listen(late.near, 'hand', null);
    link.retarget(null);
    link.resolve(1, null);
    link.note(Buffer.from('note'));
    await Promise.all([link.stop(), link.close(0), link.led(near)]);
    await isClosed(late.far);
    next.retarget(null);
    await eventually(() => expect(far.said.length).toBe(before + 1));
    for (const { fds } of far.said) for (const fd of fds) closeSync(fd);
  });

  test('whose links a successor has ends none of them, and answers who waits', async () => {
    const asked: number[] = [];
    const link = relay.link(OPTIONS, { onPending: (connection) => void asked.push(connection) });
    await eventually(() => expect(far.said).toHaveLength(1));
    far.say('PENDING', { link: link.number, conn: 5 });
    await eventually(() => expect(asked).toEqual([5]));
    relay.leave();
    await link.stop();
    let closed = false;
    const closing = link.close(60_000).then(() => {
      closed = true;
    });
    const other = relay.link(OPTIONS);
    await other.close(60_000); // nobody waits on it
    expect(closed).toBe(false);
    link.resolve(5, null);
    await closing;
    expect(far.said.map(({ op }) => op)).toEqual([OPS.LINK]);
    await eventually(() =>
      expect(far.said.map(({ op }) => op)).toEqual([OPS.LINK, OPS.LINK, OPS.RESOLVE]),
    );
  });

  test('whose links a successor has waits for no answer longer than the drain', async () => {
    const link = relay.link(OPTIONS, { onPending: () => undefined });
    far.say('PENDING', { link: link.number, conn: 5 });
    relay.leave();
    await link.close(1);
  });

  test('sends what is owed before the join, and counts that at once', async () => {
    const link = relay.link(OPTIONS);
    const [one, two] = [client(), client()];
    clients.push(one.far, two.far);
    link.join(one.near, two.near, {
      toProvider: Buffer.alloc(1),
      toConsumer: Buffer.alloc(1),
    });
    expect(link.stats()).toMatchObject({ active: 1, total: 1 });
    await eventually(() =>
      expect(far.said.map(({ op }) => op)).toEqual([
        OPS.LINK,
        ...Array(2).fill(OPS.OWED),
        OPS.JOIN,
      ]),
    );
    const numbers = new Set(far.said.slice(1).map(({ conn }) => conn));
    expect(numbers.size).toBe(1);
    for (const { fds } of far.said) for (const fd of fds) closeSync(fd);
  });

  test('lends descriptors that close here before the relay has room for them', async () => {
    const [near, other] = native.socketPair(SOCKET_TYPES.seqpacket);
    const slow = new Relay(near, { incarnation: INCARNATION });
    const link = slow.link(OPTIONS);
    const [one, two] = [client(), client()];
    const note = Buffer.alloc(16_384);
    for (let i = 0; i < 1_000; i++) link.note(note); // more than any socket has room for
    const moving = link.transfer(one.near, two.near, { bytes: 1, to: 'provider' });
    closeSync(one.near);
    closeSync(two.near);
    const reader = new FarEnd(other);
    const last = await eventually(() => {
      const transfer = reader.said.find(({ op }) => op === OPS.TRANSFER);
      expect(transfer?.fds.length).toBe(2);
      return transfer as Said;
    });
    native.socketWrite(one.far, Buffer.from('!'), 0, 1);
    expect(native.socketRead(last.fds[0] as number, Buffer.alloc(9))).toBe(1);
    for (const fd of [one.far, two.far, ...last.fds]) closeSync(fd);
    slow.stop();
    expect((await moving).outcome).toBe('cancelled');
    reader.close();
  });
});

const OPTIONS = {
  type: 'stream',
  fds: false,
  patienceMs: 1_000,
  maxConnections: 10,
  memory: 2 ** 20,
  consumerHandle: 0,
} as const;
