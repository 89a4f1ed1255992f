/** What crosses a tcp link, between real programs in network namespaces joined by veth. */
import { describe, expect, test } from 'vitest';
import { expectBothWays, expectCounted, expectHeldUp, MiB } from '../unix/flows.js';
import { SERVED, useNetworkedPair } from './support.js';

const UNIX = '/run/example/raw.sock';

describe('a tcp link', () => {
  const pair = useNetworkedPair('--drain', '0');

  test.each([
    { where: 'IPv4 of the host', target: () => `${pair.wires.consumer.host}:8022` },
    { where: 'IPv6 of the host', target: () => `[${pair.wires.consumer.host6}]:8022` },
    { where: 'a port below 1024', target: () => `${pair.wires.consumer.host}:22` },
  ])('answers the host’s clients from the network at $where', async ({ target }) => {
    await pair.serve('serve-echo');
    await pair.ingressEstablished({ target: target() });
    expect(await pair.ask('ask', target(), 'hello')).toBe('hello');
  });

  test.each(['127.0.0.1:7000', '[::1]:7000', '0.0.0.0:80'])(
    'appears at %s in the network of the consumer alone',
    async (target) => {
      await pair.serve('serve-echo');
      await pair.establish({ type: 'tcp', target, socket: SERVED });
      const reached = target.replace('0.0.0.0', '127.0.0.1');
      expect(await pair.ask('ask', reached, 'hello')).toBe('hello');
      const there = await pair.provider.exec(['nc.openbsd', '-z', '127.0.0.1', '7000']);
      expect(there.code).toBe(1);
    },
  );

  test.each([
    { to: 'its pool address', socket: () => `${pair.wires.provider.container}:4001` },
    { to: 'its IPv6 address', socket: () => `[${pair.wires.provider.container6}]:4001` },
    { to: '127.0.0.1 of its own network', socket: () => '127.0.0.1:4001' },
    { to: '::1 of its own network', socket: () => '[::1]:4001' },
    { to: 'its unix socket', socket: () => UNIX },
  ])('reaches the provider at $to', async ({ socket }) => {
    await pair.start(pair.provider, 'serve-echo', socket());
    await pair.ingressEstablished({ socket: socket() });
    expect(await pair.ask('ask', pair.address, 'over there')).toBe('over there');
  });

  test('a unix consumer reaches a tcp provider', async () => {
    await pair.serve('serve-echo');
    await pair.establish({ transport: 'tcp', socket: SERVED });
    expect(await pair.ask('ask', '/run/pv/services/raw.sock', 'over TCP')).toBe('over TCP');
  });

  test('the provider needs no way to the host, and no address of the bridge', async () => {
    await pair.serve('serve-echo');
    await pair.ingressEstablished();
    await pair.provider.exec(['ip', 'link', 'set', 'eth0', 'down']);
    expect(await pair.ask('ask', pair.address, 'hello')).toBe('hello');
    await pair.provider.exec(['ip', 'link', 'set', 'eth0', 'up']);
  });

  test.each([{ socket: SERVED }, { socket: UNIX }])(
    'passes a half-close on with 8 MiB in flight both ways and loses no byte ($socket)',
    async ({ socket }) => {
      const provider = await pair.start(pair.provider, 'serve-flood', socket, String(8 * MiB));
      await pair.ingressEstablished({ socket });
      await expectBothWays(pair, provider, pair.address, 8 * MiB);
    },
  );

  test('answers after the client has half-closed and the provider has counted it all', async () => {
    await pair.serve('serve-count');
    await pair.ingressEstablished();
    await expectCounted(pair, pair.address, 64 * MiB);
    const [shown] = await pair.daemon.shown();
    expect(shown?.bytes.to_provider).toBe(64 * MiB);
  });

  test('holds a sender of 256 MiB up while its reader stalls, in less than 4 MiB of memory', async () => {
    pair.daemon.set(pair.ingress());
    await expectHeldUp(pair, pair.address);
  });

  test.each([
    { what: 'a reset', mode: 'serve-reset', seen: 'reset' },
    { what: 'an end', mode: 'serve-count', seen: 'eof' },
  ])('shows the client $what of the provider as what it is', async ({ mode, seen }) => {
    await pair.serve(mode);
    await pair.ingressEstablished();
    const ask = mode === 'serve-reset' ? 'end' : 'ask';
    const answer = await pair.ask(ask, pair.address, 'x');
    expect(ask === 'ask' ? 'eof' : answer).toBe(seen);
  });

  test('shows the provider a reset of the client', async () => {
    const provider = await pair.serve('serve-end');
    await pair.ingressEstablished();
    expect(await pair.ask('reset', pair.address)).toBe('x');
    expect(await provider.line()).toBe('reset');
  });

  test('has 500 idle connections, which end with the clients that they are of', async () => {
    await pair.serve('serve-echo');
    await pair.ingressEstablished();
    const held = await pair.start(pair.consumer, 'hold', pair.address, '500');
    await pair.daemon.untilActive(500);
    held.kill();
    await pair.daemon.untilActive(0);
  });
});
