/** Containers whose file systems hang, or take their time, under the real daemon. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TestContainer } from '../../support/container.js';
import { fuse } from '../../support/requirements.js';
import { type Pair, startPair } from './support.js';

const SLOW_FS = readFileSync(new URL('../../support/slow-fs.py', import.meta.url), 'utf8');

describe.runIf(fuse())('a file system of a container’s own making', () => {
  let pair: Pair;
  beforeEach(async () => {
    pair = await startPair('--drain', '0', '--patience', '5');
    await pair.serve('serve-echo');
  });
  afterEach(() => pair?.stop());

  async function mount(on: TestContainer, where: string, seconds: number) {
    const server = on.run(['python3', '-c', SLOW_FS, where, String(seconds)]);
    await new Promise((resolve) => server.stdout?.once('data', resolve));
  }

  test('that hangs does not keep the daemon from ending when it is told to', async () => {
    await pair.establish();
    await mount(pair.consumer, '/run/pv/services', 100_000);
    const exited = pair.daemon.exited();
    process.kill(pair.daemon.pid, 'SIGTERM');
    expect(await exited).toBe(0);
  });
});
