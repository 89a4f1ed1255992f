/** Providers whose socket, by symlink, is what a link of ours listens on. */
import { afterEach, describe, expect, test } from 'vitest';
import { MANY, point, totalOf, within } from '../../support/rings.js';
import { eventually } from '../../support/wait.js';
import { SOCKET, TARGET, useUnixPair } from './support.js';

const END = '/run/end.sock';
const BACK = { name: 'back', target: '/run/back.sock' };

describe('a link that leads to links', () => {
  const pair = useUnixPair('--drain', '0', '--patience', '1');
  afterEach(() => pair.clear());

  test('and by them to a provider passes what is said', async () => {
    await pair.serve('serve-echo');
    await point(pair, SOCKET, BACK.target);
    pair.daemon.set(within(pair), pair.link(BACK));
    await pair.daemon.until({ raw: 'established', back: 'established' });
    expect(await pair.ask('ask', TARGET, 'through both')).toBe('through both');
  });

  test.each(['stream', 'seqpacket', 'dgram'])(
    'and is one of a ring of two ends each %s connection, and says why',
    async (mode) => {
      await point(pair, SOCKET, BACK.target);
      await point(pair, END, TARGET);
      const fields = mode === 'stream' ? {} : { mode };
      pair.daemon.set(within(pair, fields), within(pair, { ...BACK, ...fields, socket: END }));
      await pair.daemon.until({ raw: 'established', back: 'established' });
      await pair.consumer.exec(['python3', '-c', CLIENT(mode)]);
      const shown = await pair.daemon.until({ raw: 'failed', back: 'failed' });
      for (const { last_error } of shown) expect(last_error?.code).toBe('provider-loop');
      await pair.consumer.exec(['python3', '-c', CLIENT(mode)]);
      expect(await totalOf(pair)).toBeLessThan(10);
      await eventually(async () => {
        const active = (await pair.daemon.shown()).map((one) => one.connections.active);
        if (mode !== 'dgram') expect(active).toEqual([0, 0]);
      });
      await pair.daemon.until({ raw: 'failed', back: 'failed' });
    },
  );

  test('and to itself ends each connection, until its provider is another', async () => {
    await point(pair, SOCKET, TARGET);
    pair.daemon.set(within(pair));
    await pair.daemon.until({ raw: 'established' });
    await pair.consumer.exec(['python3', '-c', CLIENT('stream')]);
    const [shown] = await pair.daemon.until({ raw: 'failed' });
    expect(shown?.last_error?.message).toContain('leads back');
    expect(await totalOf(pair)).toBeLessThan(MANY);
    await pair.consumer.exec(['rm', SOCKET]);
    await pair.start(pair.consumer, 'serve-echo', SOCKET);
    expect(await pair.ask('ask', TARGET, 'mended')).toBe('mended');
    await pair.daemon.until({ raw: 'established' });
  });

  test('over TCP ends each connection, too', async () => {
    const at = '127.0.0.1:47613';
    pair.daemon.set(within(pair, { type: 'tcp', target: at, socket: at }));
    await pair.daemon.until({ raw: 'established' });
    await pair.ask('end', at, 'x').catch(() => null);
    const [shown] = await pair.daemon.until({ raw: 'failed' });
    expect(shown?.last_error?.code).toBe('provider-loop');
    expect(await totalOf(pair)).toBeLessThan(MANY);
  });
});

const CLIENT = (mode: string) => `
import socket
kinds = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET, "dgram": socket.SOCK_DGRAM}
client = socket.socket(socket.AF_UNIX, kinds["${mode}"])
client.connect("${TARGET}")
client.send(b"x")
if "${mode}" != "dgram":
    client.settimeout(5)
    try:
        client.recv(1)
    except OSError:
        pass
`;
