/** Descriptors that nobody reads count against one limit: however many links leave theirs, the others have some. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, test } from 'vitest';
import { closeAll } from '../../../src/kernel/descriptors.js';
import { startRelay, type TestRelay } from '../../support/relay.js';
import { type Joined, join, useRelay } from './support.js';

const LINKS = 64;

describe('64 links to readers that never read', () => {
  const at = useRelay();
  let started: TestRelay;
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
  beforeEach(async () => {
    limit('4096'); // which the relay has then, too
    started = await startRelay();
  });
  afterEach(async () => {
    await started.stop();
    limit(before);
  });

  test('leave a neighbour descriptors of his own', async () => {
    const joined: Joined[] = Array.from({ length: LINKS }, () => join(started.relay));
    const neighbour = join(started.relay);
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
