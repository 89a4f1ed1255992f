/** Receivers that leave unread what was sent to them. */
import { closeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ticksOf } from '../../support/processes.js';
import { atRest, eventually, pause } from '../../support/wait.js';
import { join, useRelay } from './support.js';

describe('a receiver that reads nothing', () => {
  const at = useRelay();

  test.each(['stream', 'seqpacket'] as const)(
    'keeps nobody busy with the descriptors of a %s that wait for it',
    async (type) => {
      const { link, consumer, provider } = join(at.relay, { type });
      await at.peers.do({ do: 'bomb', count: 100, messages: 50 }, consumer);
      await eventually(() => expect(link.stats().toProvider).toBeGreaterThan(0));
      await atRest(() => link.stats().toProvider);
      const before = ticksOf(at.process.pid);
      await pause(1_000); // processor time is measured over a second
      expect(ticksOf(at.process.pid) - before).toBeLessThan(20);
      closeSync(provider);
    },
  );
});
