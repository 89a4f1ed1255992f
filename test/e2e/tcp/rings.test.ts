/** Listeners of all addresses, and providers with the same port: here it is the listener itself, elsewhere it is not. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { MANY, totalOf, within } from '../../support/rings.js';
import { useNetworkedPair } from './support.js';

const PORT = 47614;

describe('a tcp link that listens at all addresses', () => {
  const pair = useNetworkedPair('--drain', '0');

  /** In the consumer's network, to an address that is looked for from there. */
  const leadTo = (ip: string, any: string) =>
    within(pair, {
      ...{ type: 'tcp', interface: 'tcp', target: `${any}:${PORT}`, socket: `${ip}:${PORT}` },
    });

  test.each([
    ['0.0.0.0', '127.0.0.1', () => '127.0.0.1'],
    ['0.0.0.0', '127.0.0.1', () => '127.5.6.7'],
    ['0.0.0.0', '127.0.0.1', () => pair.wires.consumer.container],
    ['[::]', '[::1]', () => '[::1]'],
    ['[::]', '[::1]', () => `[${pair.wires.consumer.container6}]`],
  ])('(%s) and leads to one of its own ends each connection', async (any, at, own) => {
    pair.daemon.set(leadTo(own(), any));
    await pair.daemon.until({ raw: 'established' });
    await pair.ask('end', `${at}:${PORT}`, 'x').catch(() => null);
    const [shown] = await pair.daemon.until({ raw: 'failed' });
    expect(shown?.last_error?.code).toBe('provider-loop');
    expect(await totalOf(pair)).toBeLessThan(MANY);
  });

  test('and leads to that port of another machine passes what is said', async () => {
    const other = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
    other.listen(PORT, pair.host);
    await once(other, 'listening');
    try {
      pair.daemon.set(leadTo(pair.host, '0.0.0.0'));
      await pair.daemon.until({ raw: 'established' });
      expect(await pair.ask('ask', `127.0.0.1:${PORT}`, 'over there')).toBe('over there');
    } finally {
      other.close();
    }
  });
});
