/** The relay outlives the daemon that uses it; and what a daemon sees of a relay that does not outlive it. */
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HOST } from '../../../src/broker/protocol.js';
import { Channel } from '../../../src/relay/channel.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import type { StandingLink } from '../../../src/relay/relay.js';
import type { RelayLinkEvents } from '../../../src/relay/relay-link.js';
import { startBroker, type TestBroker } from '../../support/broker.js';
import { readAll } from '../../support/peers.js';
import { startRelay, type TestRelay } from '../../support/relay.js';
import { someBytes } from '../../support/some-bytes.js';
import { eventually } from '../../support/wait.js';
import { join, linkOptions, openFds } from './support.js';

const IP = '127.0.0.1';
const MIB = 2 ** 20;

describe('a daemon that comes after another one', () => {
  let broker: TestBroker;
  let started: TestRelay;
  let port = 20_300;
  const sockets: net.Socket[] = [];
  beforeEach(async () => {
    broker = await startBroker({}, true);
    started = await startRelay({ broker: broker.relay });
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await started.stop();
    await broker.stop();
  });

  const socketOf = (fd: number): net.Socket => {
    const socket = new net.Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    sockets.push(socket);
    return socket.on('error', () => undefined);
  };

  const dial = (): net.Socket => {
    const socket = net.connect({ host: IP, port });
    sockets.push(socket);
    return socket.on('error', () => undefined);
  };

  /** On a port of its own. */
  async function listener(): Promise<number> {
    const bound = await broker.broker.listenTcp(HOST, { ip: IP, port: ++port });
    if (!bound.ok) throw new Error(bound.errno);
    return bound.value.fd;
  }

  /** The daemon ends, and another one finds that link. */
  async function succeed(): Promise<{
    standing: StandingLink;
    adopt(events?: RelayLinkEvents): ReturnType<TestRelay['relay']['adopt']>;
    relay: TestRelay['relay'];
  }> {
    started.relay.stop();
    const { relay, standing } = await started.succeed();
    expect(standing).toHaveLength(1);
    const [one] = standing as [StandingLink];
    return { relay, standing: one, adopt: (events) => relay.adopt(one, events) };
  }

  test('is told what stands: listener, note, how the provider was reached last', async () => {
    const link = started.relay.link(linkOptions({ patienceMs: 60_000 }));
    const silent = await listener(); // nobody has that port any more
    native.socketClose(silent);
    const nowhere = broker.broker.encodeConnectTcp(HOST, { ip: IP, port });
    link.listen(await listener(), 'forward', nowhere, Buffer.from('first'));
    link.note(Buffer.from('second'));
    dial();
    const refused = new Promise((resolve) => Object.assign(link.events, { onUpstream: resolve }));
    expect(await refused).toBe(111);
    const first = await succeed();
    const { number } = link;
    expect(first.standing).toEqual({
      ...{ number, listens: true, drains: false, errno: 111 },
      note: Buffer.from('second'),
    });
    await first.adopt().stop();
    first.relay.stop();
    const { standing } = await started.succeed();
    expect(standing).toMatchObject([{ number, listens: false }]);
  });

  test('finds connections as they were, and their bytes counted on', async () => {
    const { link, consumer, provider } = join(started.relay);
    const [client, server] = [socketOf(consumer), socketOf(provider)];
    const all = readAll(server);
    const sent = someBytes(8 * MIB);
    client.write(sent.subarray(0, 4 * MIB));
    await eventually(() => expect(link.stats().toProvider).toBeGreaterThan(MIB));
    const { adopt } = await succeed();
    client.end(sent.subarray(4 * MIB));
    const adopted = adopt();
    expect((await all).equals(sent)).toBe(true);
    expect(adopted.stats()).toMatchObject({ active: 1, total: 1, toProvider: 8 * MIB });
    server.end('answer');
    expect(String(await readAll(client))).toBe('answer');
    await eventually(() =>
      expect(adopted.stats()).toMatchObject({ active: 0, total: 1, closes: { eof: 1 } }),
    );
    const last = link.stats();
    expect(last.total).toBe(1); // as the first daemon saw it last
  });

  test('counts joins of its own on top of those before', async () => {
    const { link } = join(started.relay);
    join(started.relay, {}, link);
    await eventually(() => expect(link.stats().active).toBe(2));
    const { relay, adopt } = await succeed();
    const adopted = adopt();
    expect(adopted.stats()).toMatchObject({ active: 2, total: 2 });
    join(relay, {}, adopted);
    expect(adopted.stats()).toMatchObject({ active: 3, total: 3 });
    await adopted.close(0);
    expect(adopted.stats()).toMatchObject({ active: 0, total: 3, closes: { detached: 3 } });
  });

  test('is handed everybody who came while there was none, once it has adopted the link', async () => {
    const link = started.relay.link(linkOptions({ fds: false }));
    link.listen(await listener(), 'hand', null);
    await eventually(() => expect(dial().connecting).toBe(true));
    started.relay.stop();
    const clients = Array.from({ length: 100 }, () => dial());
    for (const [i, client] of clients.entries()) client.end(`${i}`);
    const { relay, standing } = await started.succeed();
    const said: Promise<Buffer>[] = [];
    const onHanded = (fd: number) => said.push(readAll(socketOf(fd)));
    relay.adopt(standing[0] as StandingLink, { onHanded });
    await eventually(() => expect(said.length).toBeGreaterThanOrEqual(100));
    for (const socket of sockets) socket.end();
    const all = (await Promise.all(said)).map(String).filter(Boolean);
    expect(all.map(Number).sort((a, b) => a - b)).toEqual(clients.map((_, i) => i));
  });

  test('is asked again about connections that nobody has answered for', async () => {
    const echo = net.createServer((socket) => socket.pipe(socket));
    await new Promise<void>((resolve) => echo.listen(0, IP, resolve));
    const pending: number[] = [];
    const onPending = (connection: number) => pending.push(connection);
    const link = started.relay.link(linkOptions({ patienceMs: 60_000 }), { onPending });
    link.listen(await listener(), 'ask', null);
    const clients = [dial(), dial()];
    await eventually(() => expect(pending).toHaveLength(2));
    const { adopt } = await succeed();
    const again: number[] = [];
    const adopted = adopt({ onPending: (connection) => again.push(connection) });
    await eventually(() => expect([...again].sort()).toEqual([...pending].sort()));
    const address = { ip: IP, port: (echo.address() as net.AddressInfo).port };
    for (const connection of again) {
      adopted.resolve(connection, broker.broker.encodeConnectTcp(HOST, address));
    }
    for (const client of clients) client.end('hello');
    expect((await Promise.all(clients.map(readAll))).map(String)).toEqual(['hello', 'hello']);
    echo.close();
  });

  test('hears nothing of transfers that it did not ask for, and their bytes arrive', async () => {
    const link = started.relay.link(linkOptions({ fds: false }));
    const [source, ours] = native.socketPair(SOCKET_TYPES.stream);
    const [sink, other] = native.socketPair(SOCKET_TYPES.stream);
    const moving = link.transfer(ours, other, { bytes: 5, to: 'provider' });
    native.socketWrite(source, Buffer.from('he'), 0, 2);
    await eventually(() => expect(link.stats().toProvider).toBe(2));
    const { adopt } = await succeed();
    expect((await moving).outcome).toBe('cancelled');
    const adopted = adopt();
    native.socketWrite(source, Buffer.from('lloagain'), 0, 8);
    await eventually(() => expect(adopted.stats().toProvider).toBe(5));
    expect(await adopted.transfer(ours, other, { bytes: 5, to: 'provider' })).toEqual({
      ...{ moved: 5, outcome: 'all' },
    });
    const read = Buffer.alloc(20);
    expect(read.toString('utf8', 0, native.socketRead(sink, read))).toBe('helloagain');
    for (const fd of [source, ours, sink, other]) native.socketClose(fd);
  });

  test('forgets a link that nobody wants, and whom it was handed of it', async () => {
    const link = started.relay.link(linkOptions({ fds: false }));
    link.listen(await listener(), 'hand', null);
    started.relay.stop();
    const client = dial();
    const closed = new Promise((resolve) => client.on('close', resolve));
    await new Promise((resolve) => client.on('connect', resolve));
    client.resume();
    const { relay, standing } = await started.succeed();
    await relay.forget(standing[0] as StandingLink, 0);
    await closed;
    expect(relay.link(linkOptions()).number).toBe(link.number);
    expect(await listenAgain()).toBe(true);
  });

  /** The port is free. */
  async function listenAgain(): Promise<boolean> {
    const again = await broker.broker.listenTcp(HOST, { ip: IP, port });
    if (again.ok) native.socketClose(again.value.fd);
    return again.ok;
  }

  test('finds none under a relay that was started anew, and the one before knows', async () => {
    const { link, consumer } = join(started.relay);
    await eventually(() => expect(link.stats().active).toBe(1));
    const seen = readAll(socketOf(consumer));
    let lost = 0;
    started.relay.onLost = () => lost++;
    await started.restart();
    await link.gone;
    expect(lost).toBe(1);
    expect(String(await seen)).toBe('');
    expect(() => started.relay.link(linkOptions())).toThrow('has ended');
    const { relay, standing } = await started.succeed();
    expect(standing).toEqual([]);
    await roundTrip(relay);
  });

  test('hears of each thing once, whoever it was meant for', async () => {
    const first = started.relay;
    first.stop();
    const unheard = await started.succeed(); // says hello, reads nothing more and ends
    unheard.relay.stop();
    const [third, fourth] = await Promise.all([started.succeed(), Promise.resolve(null)]);
    expect([third.standing, fourth]).toEqual([[], null]);
    await roundTrip(third.relay);
  });

  async function roundTrip(relay: TestRelay['relay']): Promise<void> {
    const { link, consumer, provider } = join(relay);
    const [client, server] = [new Channel(consumer), new Channel(provider)];
    const heard = new Promise((resolve) => Object.assign(server, { onData: resolve }));
    client.write(Buffer.from('hello'));
    expect(String(await heard)).toBe('hello');
    client.close();
    server.close();
    await eventually(() => expect(link.stats().active).toBe(0));
  }
});

describe('the number of a link', () => {
  test('is another one’s after its end, which starts with counters of its own', async () => {
    const { relay, pid, stop } = await startRelay();
    const first = join(relay);
    native.socketClose(first.consumer);
    native.socketClose(first.provider);
    await eventually(() => expect(first.link.stats()).toMatchObject({ active: 0, total: 1 }));
    const before = openFds(pid);
    for (let i = 0; i < 20; i++) {
      await first.link.close(0);
      const next = join(relay);
      expect(next.link.stats()).toMatchObject({ active: 1, total: 1, closes: { eof: 0 } });
      expect(next.link.number).toBe(first.link.number);
      native.socketClose(next.consumer);
      native.socketClose(next.provider);
      await next.link.close(0);
      expect(next.link.stats()).toMatchObject({ active: 0, total: 1 });
    }
    expect(first.link.stats()).toMatchObject({ active: 0, total: 1 });
    await eventually(() => expect(openFds(pid)).toBe(before));
    await stop();
  });
});
