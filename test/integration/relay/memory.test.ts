/** What the kernel holds for receivers that do not read: bounded for each link, however many connections it has. */
import net from 'node:net';
import { describe, expect, test } from 'vitest';
import { ask, dial, startEcho } from '../../support/peers.js';
import { eventually } from '../../support/wait.js';
import { usePluginStand } from '../plugins/support.js';
import { type Joined, join, linkOptions, useRelay } from './support.js';

const MIB = 2 ** 20;
const MEMORY = 2 * MIB;
const CONNECTIONS = 60;
/** Of one connection of a link that has no more: what goes at once, and what may still be in its queue. */
const LITTLE = 32 * 1024;

describe('a link whose receivers do not read', () => {
  const at = useRelay();

  test.each([
    ['stream', [300_000, 3]],
    ['seqpacket', [16_000, 1]],
  ] as const)(
    'holds so much and no more of %ss of messages %j, its neighbour goes on, and nothing is lost',
    async (type, [size, fds]) => {
      const link = at.relay.link(linkOptions({ type, memory: MEMORY }));
      const joined = Array.from({ length: CONNECTIONS }, () => join(at.relay, { type }, link));
      const say = Array.from({ length: Math.ceil(400_000 / size) }, (_, i) => [
        size,
        i % 8 === 0 ? fds : 0,
      ]);
      const quiet = { say: [], seed: -1 };
      const saying = joined.map(({ consumer }, i) =>
        at.peers.do({ do: 'talk', say, seed: i, hear: [], from: -1 }, consumer),
      );
      await roundTrips(join(at.relay));
      await eventually(() => expect(link.stats().toProvider).toBeGreaterThan(0));
      await roundTrips(join(at.relay));
      expect(link.stats().toProvider).toBeLessThan(MEMORY + CONNECTIONS * LITTLE);
      const hearing = joined.map(({ provider }, i) =>
        at.peers.do({ do: 'talk', ...quiet, hear: say, from: i }, provider),
      );
      await Promise.all([...saying, ...hearing]);
      expect(link.stats().toProvider).toBe(
        CONNECTIONS * say.reduce((sum, [bytes]) => sum + (bytes as number), 0),
      );
    },
    60_000,
  );

  async function roundTrips({ consumer, provider }: Joined): Promise<void> {
    const answering = at.peers.do({ do: 'answer' }, provider);
    expect(await at.peers.do({ do: 'ask', rounds: 2_000 }, consumer)).toBe(2_000);
    await answering;
  }
});

describe('a link that holds all that it may', () => {
  const at = usePluginStand({ linkMemory: MEMORY });
  /** So many that with a little each they hold more than all. */
  const EARLY = 150;
  const PIECE = Buffer.alloc(300_000, 'piece');

  /** A provider that reads nothing until it is told to; what it has read of each then. */
  async function startReluctant(path: string) {
    const planted = await at.host.broker.listenUnix(await at.handleOf(at.provider), 'stream', path);
    if (!planted.ok) throw new Error(planted.errno);
    const sockets: net.Socket[] = [];
    const read: Buffer[] = [];
    let reads = false;
    const begin = (socket: net.Socket) => {
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.on('end', () => read.push(Buffer.concat(chunks)) && socket.end());
    };
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
      sockets.push(socket);
      if (!reads) return;
      begin(socket);
      socket.resume();
    });
    server.listen({ fd: planted.value.fd });
    return {
      read,
      begin: () => {
        reads = true;
        for (const socket of sockets) begin(socket);
        for (const socket of sockets) socket.resume();
      },
      close: async () => {
        for (const socket of sockets) socket.destroy();
        server.close();
      },
    };
  }

  test('accepts nobody until receivers have read; then everybody is served, whole', async () => {
    const link = at.link();
    const provider = at.closing(await startReluctant(link.socket));
    const attached = await at.attach(link);
    const inside = await at.handleOf(at.consumer);
    const come = async (n: number) => {
      const clients = await Promise.all(
        Array.from({ length: n }, () => dial(at.host.broker, inside, link.target)),
      );
      for (const client of clients) client.on('error', () => undefined).resume();
      return clients;
    };
    const early = await come(EARLY);
    await eventually(() => expect(attached.stats().active).toBe(EARLY));
    for (const client of early) client.end(PIECE);
    await eventually(() => expect(attached.stats().toProvider).toBeGreaterThan(MEMORY));
    const late = await come(10);
    for (const client of late) client.end(PIECE);
    await neighbourAnswers();
    expect(attached.stats().toProvider).toBeLessThan(MEMORY + EARLY * LITTLE);
    expect(attached.stats().active).toBe(EARLY);
    provider.begin();
    await eventually(() => expect(provider.read).toHaveLength(EARLY + 10));
    expect(provider.read.every((bytes) => bytes.equals(PIECE))).toBe(true);
    for (const client of [...early, ...late]) client.destroy();
  });

  async function neighbourAnswers(): Promise<void> {
    const target = '/run/pv/services/other.sock';
    const link = at.link({ name: 'other', target, socket: '/run/example/other.sock' });
    at.closing(await startEcho(at.host.broker, await at.handleOf(at.provider), link.socket));
    await at.attach(link);
    const inside = await at.handleOf(at.consumer);
    for (let i = 0; i < 100; i++) {
      expect(await ask(await dial(at.host.broker, inside, target), `${i}`)).toBe(`${i}`);
    }
  }
});
