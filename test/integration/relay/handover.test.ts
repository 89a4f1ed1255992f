/**
 * A relay and a broker of another build take over, under traffic: who was connected stays where he is to the end, who
 * comes goes to the new ones, and nobody is lost between them, whether the new ones are kept or given up.
 */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Broker } from '../../../src/broker/client.js';
import { BETWEEN_VERSIONS } from '../../../src/kernel/between-versions.js';
import { closeAll } from '../../../src/kernel/descriptors.js';
import type { ErrnoResult } from '../../../src/kernel/result.js';
import { Channel } from '../../../src/relay/channel.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import { encodeCommand } from '../../../src/relay/protocol.js';
import type { RelayLink, RelayLinkEvents } from '../../../src/relay/relay-link.js';
import { startBroker, type TestBroker } from '../../support/broker.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { handOver, numbered, Supervision } from '../../support/handover.js';
import { Peer } from '../../support/peer-process.js';
import { runProgram } from '../../support/processes.js';
import { startRelay, type TestRelay } from '../../support/relay.js';
import { eventually } from '../../support/wait.js';
import { linkOptions } from './support.js';

const ECHO = readFileSync(new URL('echo-servers.py', import.meta.url), 'utf8');
const LINKS = 50;
const KINDS = [
  { type: 'stream', mode: 'forward' },
  { type: 'seqpacket', mode: 'forward' },
  { type: 'dgram', mode: 'forward' },
  { type: 'stream', mode: 'ask' },
  { type: 'stream', mode: 'hand' },
] as const;

function valueOrThrow<T>(result: ErrnoResult<T>): T {
  if (!result.ok) throw new Error(result.errno);
  return result.value;
}

const kindOf = (i: number) => KINDS[i % KINDS.length] as (typeof KINDS)[number];
const noteOf = (i: number) => Buffer.from(`link ${i}`.padEnd(i * 300, '.'));
const pathOf = (i: number) => `/run/pv/link${i}`;

/** A client that has one message under way at a time, each to be sent back. */
class Client {
  rounds = 0;
  error: unknown = null;
  readonly #channel: Channel;
  #expected = '';

  constructor(fd: number) {
    this.#channel = new Channel(fd, true);
    this.#channel.onData = (data) => {
      if (!this.#expected.startsWith(data.toString())) this.error = new Error(`got ${data}`);
      this.#expected = this.#expected.slice(data.length);
      if (this.#expected !== '') return;
      this.rounds++;
      this.#ask();
    };
    this.#channel.onEnd = (error) => {
      this.error = error ?? new Error('it ended');
    };
    this.#ask();
  }

  #ask(): void {
    this.#expected = `message ${this.rounds}`.padEnd(1 + ((this.rounds * 37) % 2_000), '.');
    this.#channel.write(Buffer.from(this.#expected));
  }

  /** It is answered, and now rather than before. */
  async goesOn(): Promise<void> {
    const before = this.rounds;
    await eventually(() => {
      if (this.error !== null) throw this.error;
      expect(this.rounds).toBeGreaterThan(before + 1);
    });
  }

  close(): void {
    this.#channel.onEnd = null;
    this.#channel.close();
  }
}

describe('links given to a relay of another build', () => {
  let container: TestContainer;
  let echo: Peer;
  let handle: number;
  let supervisions: {
    broker: Supervision;
    relay: Supervision;
    nextBroker: Supervision;
    next: Supervision;
  };
  let broker: TestBroker;
  let relay: TestRelay;
  let plants: number[];
  const clients: Client[] = [];
  const handed: Channel[] = [];
  const stops: (() => unknown)[] = [];

  beforeEach(async () => {
    container = await startContainer({ name: 'links' });
    echo = new Peer(container.run(['python3', '-c', ECHO]));
    expect(await echo.line()).toBe('ready');
    const [one, two, three, four] = [0, 1, 2, 3].map(() => new Supervision()) as [
      Supervision,
      Supervision,
      Supervision,
      Supervision,
    ];
    supervisions = { broker: one, relay: two, nextBroker: three, next: four };
    broker = await startBroker({ handover: [one.theirs] }, true);
    relay = await startRelay({ broker: broker.relay, handover: [two.theirs] });
    stops.push(
      () => relay.stop(),
      () => broker.stop(),
    );
    const held = valueOrThrow(await broker.broker.hold(container.pid, 0));
    native.socketClose(held.pidfd);
    handle = held.handle;
    plants = [];
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    for (const channel of handed.splice(0)) channel.close();
    for (const stop of stops.splice(0).reverse()) await stop();
    for (const each of Object.values(supervisions)) each.close();
    echo.kill();
    await container.kill();
  });

  const upstream = (i: number) =>
    broker.broker.encodeConnect(handle, kindOf(i).type, `/run/${kindOf(i).type}`, 0, 0);

  /** What a daemon does for a link that asks it, or hands it its clients. */
  function eventsOf(i: number, link: () => RelayLink): RelayLinkEvents {
    return {
      onPending: (connection) => link().resolve(connection, upstream(i)),
      onHanded: (fd) => {
        const channel = new Channel(fd);
        handed.push(channel);
        channel.onData = (data) => channel.write(data);
      },
    };
  }

  async function makeLinks(count = LINKS): Promise<RelayLink[]> {
    const links: RelayLink[] = [];
    for (let i = 0; i < count; i++) {
      const { type, mode } = kindOf(i);
      const planted = valueOrThrow(await broker.broker.listenUnix(handle, type, pathOf(i)));
      plants.push(planted.plant);
      const options = linkOptions({ type, fds: mode !== 'hand', consumerHandle: handle });
      const link: RelayLink = relay.relay.link(
        options,
        eventsOf(i, () => link),
      );
      link.listen(planted.fd, mode, mode === 'forward' ? upstream(i) : null, noteOf(i));
      links.push(link);
    }
    return links;
  }

  async function dial(i: number, by: Broker = broker.broker): Promise<Client> {
    const client = new Client(
      valueOrThrow(await by.connectUnix(handle, kindOf(i).type, pathOf(i), 0, 0)),
    );
    clients.push(client);
    return client;
  }
  const dialAll = (by?: Broker) =>
    Promise.all(Array.from({ length: LINKS }, (_, i) => dial(i, by)));
  const allGoOn = (of: readonly Client[]) => Promise.all(of.map((client) => client.goesOn()));

  async function takeOver(): Promise<{ broker: TestBroker; relay: TestRelay }> {
    const { nextBroker, next } = supervisions;
    const newBroker = await handOver(supervisions.broker, nextBroker, (handover) =>
      startBroker({ handover, incarnation: 1 }, true),
    );
    stops.push(() => newBroker.stop());
    const newRelay = await handOver(supervisions.relay, next, (handover) =>
      startRelay({ broker: newBroker.relay, handover }),
    );
    stops.push(() => newRelay.stop());
    return { broker: newBroker, relay: newRelay };
  }

  /** As a successor of the daemon finds them. */
  async function adopt(by: TestRelay): Promise<RelayLink[]> {
    by.relay.stop();
    const { relay: found, standing } = await by.succeed();
    return standing.map((each) => {
      const i = Number(/link (\d+)/.exec(String(each.note))?.[1]);
      expect(each).toEqual({
        number: each.number,
        listens: true,
        drains: false,
        errno: 0,
        note: noteOf(i),
      });
      const link: RelayLink = found.adopt(
        each,
        eventsOf(i, () => link),
      );
      return link;
    });
  }

  test('take everybody who comes, while those who were there go on to their end', async () => {
    const links = await makeLinks();
    const before = await dialAll();
    await allGoOn(before);
    supervisions.relay.say(numbered('Z'));
    const next = await takeOver();
    const adopted = await adopt(next.relay);
    expect(adopted.map(({ number }) => number)).toEqual(links.map(({ number }) => number));
    for (const [i, link] of adopted.entries()) {
      expect(link.stats()).toMatchObject({ active: 0, total: 1 });
      if (kindOf(i).mode !== 'hand') expect(link.stats().toProvider).toBeGreaterThan(0);
    }
    const waiting = await dialAll(); // between the two
    await allGoOn(before.filter((_, i) => kindOf(i).type !== 'dgram'));
    for (const client of waiting) expect(client).toMatchObject({ rounds: 0, error: null });
    supervisions.broker.say('C');
    supervisions.relay.say('C3600');
    supervisions.next.say('T');
    await allGoOn(waiting);
    const after = await dialAll(next.broker.broker);
    await allGoOn([...before, ...waiting, ...after]);
    for (const link of adopted) expect(link.stats().total).toBeGreaterThanOrEqual(3);
    for (const [i, link] of links.entries()) {
      if (kindOf(i).mode !== 'hand') expect(link.stats()).toMatchObject({ active: 1, total: 1 });
    }
    for (const client of before.filter((_, i) => kindOf(i).type !== 'dgram')) client.close();
    relay.leave();
    await eventually(() => expect(before.filter(({ error }) => error !== null)).toEqual([]));
    // What it owes nobody any more: flows of datagrams, whose clients speak through the other now.
    await allGoOn([...waiting, ...after]);
    await broker.stop();
    expect(valueOrThrow(await next.broker.broker.check(handle)).lost).toEqual([]);
    await allGoOn([...waiting, ...after]);
    expect((await container.exec(['ls', '/run/pv'])).stdout.trim().split('\n')).toHaveLength(LINKS);
    for (const plant of plants)
      expect(await next.broker.broker.remove(plant)).toMatchObject({ ok: true });
    expect((await container.exec(['ls', '/run/pv'])).stdout).toBe('');
  });

  test('end the old relay with the last connection, and not before the daemon has left', async () => {
    const [, stopped] = (await makeLinks(2)) as [RelayLink, RelayLink];
    const before = await dial(0);
    await before.goesOn();
    const next = await takeOver();
    supervisions.relay.say('T'); // and the new one, whose daemon takes its time, accepts nobody yet
    await (await dial(0)).goesOn();
    await stopped.stop(); // here
    supervisions.relay.say('C');
    supervisions.next.say('T');
    const after = await Promise.all([0, 1].map((i) => dial(i, next.broker.broker)));
    await allGoOn([...clients]);
    relay.leave();
    await allGoOn([...clients]);
    for (const client of clients.filter((each) => !after.includes(each))) client.close();
    expect(await relay.ended).toBe(0);
    await allGoOn(after);
  });

  test('end the old relay at the latest after the given time', async () => {
    await makeLinks(2);
    const before = await dial(1);
    await before.goesOn();
    await takeOver();
    supervisions.relay.say('C1');
    expect(await relay.ended).toBe(0);
    await eventually(() => expect(before.error).not.toBeNull());
  });

  test('leave a daemon its joins and transfers until it has left', async () => {
    const [link] = (await makeLinks(1)) as [RelayLink];
    await takeOver();
    supervisions.relay.say('C');
    await eventually(async () => {
      supervisions.relay.say(numbered('H')); // heard in order: nothing comes of it
      const [near, far] = native.socketPair(SOCKET_TYPES.stream);
      const [other, end] = native.socketPair(SOCKET_TYPES.stream);
      link.join(far, end);
      const [one, two] = [new Channel(near), new Channel(other)];
      const heard = new Promise((resolve) => Object.assign(two, { onData: resolve }));
      one.write(Buffer.from('hello'));
      expect(String(await heard)).toBe('hello');
      one.close();
      two.close();
    });
    await eventually(() => expect(link.stats()).toMatchObject({ active: 0, total: 1 }));
    relay.leave();
    expect(await relay.ended).toBe(0);
  });

  test('are served on by the old relay where the new one is given up', async () => {
    await makeLinks();
    const before = await dialAll();
    await allGoOn(before);
    supervisions.relay.say(numbered('Z'));
    const waiting = await dialAll();
    const next = await takeOver();
    await next.relay.stop();
    next.broker.brokerProcess.kill('SIGKILL');
    supervisions.broker.say('T');
    supervisions.relay.say('T');
    await allGoOn([...before, ...waiting, ...(await dialAll())]);
    // And once more, from the beginning: these two have said nothing yet.
    const { nextBroker, next: nextRelay } = supervisions;
    nextBroker.close();
    nextRelay.close();
    supervisions = { ...supervisions, nextBroker: new Supervision(), next: new Supervision() };
    const again = await takeOver();
    await adopt(again.relay);
    supervisions.broker.say('C');
    supervisions.relay.say('C3600');
    supervisions.next.say('T');
    await allGoOn([...before, ...waiting, ...(await dialAll(again.broker.broker))]);
  });

  test('survive a supervisor that says nonsense, gives what is no socket, and goes', async () => {
    await makeLinks(KINDS.length);
    const before = await Promise.all(KINDS.map((_, i) => dial(i)));
    for (const each of [supervisions.broker, supervisions.relay]) {
      for (const word of [
        '',
        'H',
        numbered('H'),
        'h',
        'X',
        'Hello, this is more than anybody expects.',
      ]) {
        each.say(word === '' ? '\0' : word);
        each.say(word || 'H', native.socketPair(SOCKET_TYPES.dgram));
        each.say(word || 'H', [native.descriptorDuplicate(0)]);
      }
    }
    await allGoOn(before);
    supervisions.broker.close();
    supervisions.relay.close();
    await allGoOn([...before, ...(await Promise.all(KINDS.map((_, i) => dial(i))))]);
  });
});

/** Records as relay/handover.c has them. */
const framed = (record: Buffer) =>
  Buffer.concat([Buffer.from(Uint32Array.of(record.length).buffer), record]);
const HELLO = framed(encodeCommand({ op: 'HELLO', mode: BETWEEN_VERSIONS }));
const END = Buffer.alloc(4);
const link = (number: number) =>
  framed(encodeCommand({ op: 'LINK', link: number, mode: 1, most: 1 }));
const listen = (number: number) => framed(encodeCommand({ op: 'LISTEN', link: number }));
const counted = (number: number, bytes: number) =>
  framed(encodeCommand({ op: 'COUNTED', link: number, data: Buffer.alloc(bytes) }));

describe('what a relay is handed', () => {
  const malformed: [what: string, bytes: readonly Buffer[], fds: number, said: string][] = [
    ['nothing', [], 0, 'it ended too early'],
    ['no beginning', [END], 0, 'it does not begin with HELLO'],
    ['another beginning', [link(1), END], 0, 'it does not begin with HELLO'],
    [
      'another version',
      [framed(encodeCommand({ op: 'HELLO', mode: BETWEEN_VERSIONS + 1 }))],
      0,
      'it is of another version',
    ],
    ['no end', [HELLO, link(1)], 0, 'it ended too early'],
    ['half a record', [HELLO, link(1).subarray(0, 40)], 0, 'it ended too early'],
    [
      'a length of too few',
      [HELLO, Buffer.from(Uint32Array.of(47).buffer)],
      0,
      'a length is none of a command',
    ],
    [
      'a length of too many',
      [HELLO, Buffer.from(Uint32Array.of(2 ** 31).buffer)],
      0,
      'a length is none of a command',
    ],
    ['a link twice', [HELLO, link(1), link(1), END], 0, 'LINK has a wrong link'],
    ['a number out of range', [HELLO, link(16_384), END], 0, 'LINK has a wrong link'],
    ['what is no command', [HELLO, framed(Buffer.alloc(48, 255)), END], 0, 'it has a wrong op'],
    [
      'a daemon’s command',
      [HELLO, link(1), framed(encodeCommand({ op: 'CLOSE', link: 1 }))],
      0,
      'CLOSE has a wrong op',
    ],
    ['no listener', [HELLO, link(1), listen(1), END], 0, 'a descriptor is missing'],
    ['too many descriptors', [HELLO, link(1), END], 1, 'it has too many descriptors'],
    ['a listener of no link', [HELLO, link(1), listen(2), END], 1, 'LISTEN has a wrong link'],
    [
      'counters of another size',
      [HELLO, link(1), counted(1, 120), END],
      0,
      'COUNTED has a wrong data',
    ],
  ];
  test.each(malformed)('is refused with %s', async (_, bytes, fds, said) => {
    const supervision = new Supervision();
    const [ours, theirs] = native.socketPair(SOCKET_TYPES.stream);
    const [daemon, far] = native.socketPair(SOCKET_TYPES.seqpacket);
    const ending = runProgram('pvx-relay', ['ignore', far, supervision.theirs, theirs], {
      uid: 64_999,
      gid: 64_999,
    });
    const channel = new Channel(ours);
    channel.write(
      Buffer.concat([...bytes, Buffer.alloc(0)]),
      Array.from({ length: fds }, () => native.descriptorDuplicate(0)),
    );
    await channel.flushed();
    closeAll([theirs]);
    channel.end();
    expect(await ending).toEqual({
      code: 1,
      stderr: `pvx-relay: the links that the relay before it hands over (descriptor 6) can't be taken: ${said}.\n`,
    });
    await supervision.heard('');
    channel.close();
    closeAll([daemon, far]);
    supervision.close();
  });
});
