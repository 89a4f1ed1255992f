/** What crosses a unix link, between real programs in real containers. */
import { afterEach, describe, expect, test } from 'vitest';
import { expectBothWays, expectCounted, expectHeldUp, MiB } from './flows.js';
import { TARGET, useUnixPair } from './support.js';

describe('a unix link', () => {
  const pair = useUnixPair('--patience', '2');
  afterEach(() => pair.reset());

  test('answers a request through the injected socket', async () => {
    await pair.serve('serve-echo');
    await pair.establish();
    expect(await pair.ask('ask', TARGET, 'hello')).toBe('hello');
  });

  test('carries descriptors both ways with the byte that they were sent with', async () => {
    await pair.serve('serve-echo');
    await pair.establish();
    expect(await pair.ask('fds', TARGET, '200', '8', '1')).toMatch(/^ok \d+ bytes \d+ desc/);
  });

  test('carries 200 descriptors in one message', async () => {
    await pair.serve('serve-echo');
    await pair.establish();
    expect(await pair.ask('fds', TARGET, '10', '200', '2')).toMatch(/^ok/);
  });

  test.each([3, 4, 5, 6])(
    'keeps messages of mixed sizes, their bytes and their descriptors in step (seed %i)',
    async (seed) => {
      await pair.serve('serve-echo');
      await pair.establish();
      expect(await pair.ask('fds', TARGET, '400', '20', String(seed))).toMatch(/^ok/);
    },
  );

  test.each([true, false])(
    'passes a half-close on with 8 MiB in flight both ways and loses no byte (fds: %s)',
    async (fds) => {
      const provider = await pair.serve('serve-flood', String(8 * MiB));
      await pair.establish({ fds });
      await expectBothWays(pair, provider, TARGET, 8 * MiB);
    },
  );

  test('answers after the consumer has half-closed and the provider has counted it all', async () => {
    await pair.serve('serve-count');
    await pair.establish();
    await expectCounted(pair, TARGET, 32 * MiB);
  });

  test.each([true, false])(
    'holds a sender of 256 MiB up while its reader stalls, in less than 4 MiB of memory (fds: %s)',
    async (fds) => {
      pair.daemon.set(pair.link({ fds }));
      await expectHeldUp(pair, TARGET);
    },
  );

  test('keeps the boundaries of records in mode seqpacket, of empty ones too', async () => {
    await pair.serve('serve-echo', 'seqpacket');
    await pair.establish({ mode: 'seqpacket' });
    expect(await pair.ask('records', TARGET)).toBe('ok');
  });

  test.each(['auto', '/run/client.sock'])(
    'forwards datagrams and their replies in mode dgram, to a client bound to %s',
    async (bind) => {
      await pair.serve('serve-echo', 'dgram');
      await pair.establish({ mode: 'dgram' });
      expect(await pair.ask('datagrams', TARGET, bind)).toBe('ok');
      await pair.consumer.exec(['rm', '-f', '/run/client.sock']);
    },
  );

  test('has 1,000 idle connections for less than 1 KiB each', async () => {
    await pair.serve('serve-hold');
    await pair.establish();
    const warm = await pair.start(pair.consumer, 'hold', TARGET, '1000');
    await pair.daemon.untilActive(1000);
    await warm.end();
    await pair.daemon.untilActive(0);
    const before = pair.daemon.memory();
    const held = await pair.start(pair.consumer, 'hold', TARGET, '1000');
    await pair.daemon.untilActive(1000);
    expect(pair.daemon.memory() - before).toBeLessThan(1000 * 1024);
    await held.end();
  });

  test('shows the provider the uid and gid of the role, and no groups', async () => {
    await pair.provider.exec(['sh', '-c', 'echo "operator:x:1234:4321::/:" >> /etc/passwd']);
    await pair.serve('serve-whoami');
    await pair.establish({ role: 'operator' });
    expect(await pair.ask('ask', TARGET, '')).toBe('1234 4321 0');
    await pair.establish({ role: '77' });
    expect(await pair.ask('ask', TARGET, '')).toBe('77 77 0');
    await pair.establish({ role: 'any' });
    expect(await pair.ask('ask', TARGET, '')).toBe('0 0 0');
  });

  test('survives clients and providers that break off in mid-stream', async () => {
    const provider = await pair.serve('serve-flood', String(64 * MiB));
    await pair.establish();
    for (let i = 0; i < 5; i++) {
      const client = await pair.start(pair.consumer, 'hold', TARGET, '20');
      client.kill();
    }
    provider.kill();
    await pair.serve('serve-echo');
    await pair.daemon.until({ raw: 'established' });
    expect(await pair.ask('ask', TARGET, 'still here')).toBe('still here');
  });
});
