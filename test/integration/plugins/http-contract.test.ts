/**
 * The contract of every plugin, for those that speak HTTP: what contract.test.ts asks of a stream of bytes, asked of
 * requests. Real containers, the real broker and relay.
 */
import { once } from 'node:events';
import http from 'node:http';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { Link } from '../../../src/graph/link.js';
import { startContainer } from '../../support/container.js';
import { dialAt, readAll } from '../../support/peers.js';
import { eventually } from '../../support/wait.js';
import { usePluginStand } from './support.js';

const SUBJECTS: { readonly name: string; readonly link: Partial<Link> }[] = [
  { name: 'rest', link: { type: 'rest' } },
  { name: 'http', link: { type: 'http', target: '127.0.0.1:8080' } },
  { name: 'http with a prefix', link: { type: 'http', target: '127.0.0.1:8080/x', host: 'a' } },
];

interface Provider {
  readonly asked: string[];
  answerLate(): void;
  close(): Promise<void>;
}

describe.each(SUBJECTS)('the plugin contract, $name:', ({ link: fields }) => {
  const at = usePluginStand({ patienceMs: 1_000, net: true, link: fields });
  const path = fields.target?.endsWith('/x') ? '/x' : '';

  /** `/late` is answered when `answerLate` is called, `/never` never, everything else at once with its own path. */
  async function serve(where = at.provider): Promise<Provider> {
    const planted = await at.host.broker.listenUnix(
      await at.handleOf(where),
      'stream',
      at.link().socket,
    );
    if (!planted.ok) throw new Error(planted.errno);
    const asked: string[] = [];
    let answerLate = () => {};
    const server = http.createServer(({ url = '' }, answer) => {
      asked.push(url);
      if (url === '/late') answerLate = () => void answer.end(url);
      else if (url !== '/never') answer.end(url);
    });
    server.listen({ fd: planted.value.fd });
    return at.closing({
      asked,
      answerLate: () => answerLate(),
      close: async () => {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
        await at.host.broker.remove(planted.value.plant);
      },
    });
  }

  const connect = async () =>
    dialAt(at.host.broker, await at.handleOf(at.consumer), at.link().target);
  /** Over TCP it is told by the first thing that is done with the socket. */
  async function expectNobody(): Promise<void> {
    const used = async () => {
      const socket = await connect();
      await new Promise((resolve, reject) => socket.once('error', reject).once('data', resolve));
    };
    await expect(used()).rejects.toThrow(/ENOENT|ECONNREFUSED/);
  }
  const send = (socket: Socket, url: string) =>
    socket.write(`GET ${path}${url} HTTP/1.1\r\nHost: a\r\n\r\n`);
  /** A link with a connection that asks for this; `all` is what comes back over it until its end. */
  async function begin(url: string) {
    const attached = await at.attach();
    const socket = await connect();
    const all = readAll(socket);
    send(socket, url);
    return { attached, socket, all };
  }
  /** One request over a connection of its own; its status and body. */
  async function ask(url: string): Promise<string> {
    const socket = await connect();
    const all = readAll(socket);
    send(socket, url);
    socket.end();
    const text = (await all).toString();
    return `${text.slice(9, 12)} ${text.slice(text.indexOf('\r\n\r\n') + 4)}`;
  }

  test('requests go to the provider, and answers back', async () => {
    const { asked } = await serve();
    await at.attach();
    expect(await ask('/hello')).toBe('200 /hello');
    expect(asked).toEqual(['/hello']);
  });

  test('the state follows the provider: waiting until it listens, then established', async () => {
    await at.attach();
    await at.untilState('waiting', 'provider-socket-missing');
    await serve();
    await at.untilState('established');
  });

  test('a request waits for its provider, and is answered where it does not come', async () => {
    const attached = await at.attach();
    const early = ask('/early');
    await eventually(() => expect(attached.stats().active).toBe(1));
    const serving = await serve();
    expect(await early).toBe('200 /early');
    await at.close(serving);
    expect(await ask('/late')).toMatch(/^503 /);
  });

  test('a link that leaves takes its target with it and lets a request finish', async () => {
    const { asked, answerLate } = await serve();
    const { attached, all } = await begin('/late');
    await eventually(() => expect(asked).toEqual(['/late']));
    const { removed, done } = attached.detach(5_000);
    await removed;
    await expectNobody();
    answerLate();
    expect((await all).toString()).toMatch(/^HTTP\/1.1 200 .*\/late$/s);
    await done;
  });

  test('a request that does not finish in the drain time is ended', async () => {
    const { asked } = await serve();
    const { attached, all } = await begin('/never');
    await eventually(() => expect(asked).toEqual(['/never']));
    await attached.detach(100).done;
    expect((await all).toString()).toMatch(/^(HTTP\/1.1 50[23] .*)?$/s);
  });

  test('an idle connection ends with the link, at once', async () => {
    await serve();
    const { attached, socket, all } = await begin('/one');
    await once(socket, 'data');
    await attached.detach(5_000).done;
    expect((await all).toString()).toMatch(/\/one$/);
  });

  test('leaving twice is leaving once', async () => {
    const attached = await at.attach();
    await Promise.all([attached.detach(0).done, attached.detach(0).done]);
    await expectNobody();
  });

  test('a new provider gets the new requests, over connections that were there before', async () => {
    const first = await serve();
    const { attached, socket, all } = await begin('/one');
    await eventually(() => expect(first.asked).toEqual(['/one']));
    const other = await startContainer({ name: 'provider' });
    const second = await serve(other);
    await attached.retarget(at.link({ providerPid: other.pid }), 0);
    send(socket, '/two');
    await eventually(() => expect(second.asked).toEqual(['/two']));
    socket.end();
    expect((await all).toString()).toMatch(/\/one.*\/two$/s);
    expect(first.asked).toEqual(['/one']);
    await at.close(second);
    await other.kill();
  });

  test('what was asked is counted', async () => {
    await serve();
    const attached = await at.attach();
    await ask('/hello');
    await eventually(() => {
      const { total, active, toConsumer, toProvider } = attached.stats();
      expect({ total, active }).toEqual({ total: 1, active: 0 });
      expect(toConsumer).toBeGreaterThan('/hello'.length);
      expect(toProvider).toBeGreaterThan('/hello'.length);
    });
  });
});
