/** Receivers that leave unread what was sent to them. */
import { closeSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Relay } from '../../../src/relay/relay.js';
import { eventually } from '../../support/wait.js';
import { join, Peers } from './support.js';

describe('a receiver that reads nothing', () => {
  let peers: Peers;
  let relay: Relay;
  beforeAll(() => {
    peers = new Peers();
  });
  afterAll(() => peers.stop());
  beforeEach(() => {
    relay = new Relay(-1);
  });
  afterEach(() => relay.stop());

  test.each(['stream', 'seqpacket'] as const)(
    'keeps nobody busy with the descriptors of a %s that wait for it',
    async (type) => {
      const { link, consumer, provider } = join(relay, { type });
      await peers.do({ do: 'bomb', count: 100, messages: 50 }, consumer);
      await eventually(() => expect(link.stats().toProvider).toBeGreaterThan(0));
      await new Promise((resolve) => setTimeout(resolve, 200)); // whatever it moves is moved
      const before = process.cpuUsage();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      const { user, system } = process.cpuUsage(before);
      expect(user + system).toBeLessThan(200_000);
      closeSync(provider);
    },
  );
});
