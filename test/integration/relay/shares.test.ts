/** Descriptors that nobody reads count against one limit: however many links leave theirs, the others have some. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, test } from 'vitest';
import { closeAll } from '../../../src/kernel/descriptors.js';
import { Relay } from '../../../src/relay/relay.js';
import { type Joined, join, useRelay } from './support.js';

const LINKS = 64;

describe('64 links to readers that never read', () => {
  const at = useRelay();
  let relay: Relay;
  const limit = (soft: string) =>
    execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${soft}:`]);
  const before = execFileSync('prlimit', [
    '--pid',
    String(process.pid),
    '--nofile',
    '-o',
    'SOFT',
    '--noheadings',
  ])
    .toString()
    .trim();
  beforeEach(() => {
    limit('4096'); // what a relay takes as its own limit
    relay = new Relay(-1);
  });
  afterEach(() => {
    relay.stop();
    limit(before);
  });

  test('leave a neighbour descriptors of his own', async () => {
    const joined: Joined[] = Array.from({ length: LINKS }, () => join(relay));
    const neighbour = join(relay);
    for (const { consumer } of joined) {
      await at.peers.do({ do: 'bomb', count: 200, messages: 20 }, consumer);
    }
    const say = Array.from({ length: 100 }, () => [10, 2]);
    await Promise.all([
      at.peers.do({ do: 'talk', say, seed: 1, hear: [], from: -1 }, neighbour.consumer),
      at.peers.do({ do: 'talk', say: [], seed: -1, hear: say, from: 1 }, neighbour.provider),
    ]);
    closeAll(joined.map(({ provider }) => provider));
  });
});
